use crate::config::tests::{SOURCE, load_with};

#[test]
fn both_servers_need_a_port_each() {
    let listeners = |server: &str, admin: &str| {
        load_with(&format!("[server]\nlisten = \"{server}\"\n[admin]\nlisten = \"{admin}\"\n{SOURCE}"), &[])
    };
    for (server, admin) in [
        ("127.0.0.1:9100", "127.0.0.1:9100"),
        ("0.0.0.0:9100", "127.0.0.1:9100"),
        ("127.0.0.1:9100", "0.0.0.0:9100"),
        ("[::]:9100", "127.0.0.1:9100"),
    ] {
        let told = listeners(server, admin).expect_err("one port").to_string();
        assert!(told.starts_with("trunkline.toml:4: admin.listen: is taken"), "{server} {admin} {told}");
    }
    for (server, admin) in
        [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:80", "127.0.0.2:80"), ("0.0.0.0:1", "0.0.0.0:2")]
    {
        assert!(listeners(server, admin).is_ok(), "{server} {admin}");
    }
    let by_default = load_with(&format!("[server]\nlisten = \"0.0.0.0:9100\"\n{SOURCE}"), &[]);
    assert!(by_default.expect_err("the default of the other").to_string().contains("admin.listen"));
}

#[test]
fn urls_are_urls() {
    let url = |text: &str| load_with(&format!("[server]\npublic_url = \"{text}\"\n{SOURCE}"), &[]);
    for (right, read) in [
        ("https://hooks.example.com", "https://hooks.example.com"),
        ("https://hooks.example.com:8443/", "https://hooks.example.com:8443"),
        ("http://192.0.2.1/telephony/", "http://192.0.2.1/telephony"),
    ] {
        assert_eq!(url(right).unwrap().settings.server.public_url.as_deref(), Some(read));
    }
    for wrong in [
        "https://",
        "nonsense",
        "hooks.example.com",
        "ftp://a",
        "https://a b",
        "https://a?b=c",
        "https://a#b",
        "https://me:pw@a",
    ] {
        assert!(url(wrong).expect_err(wrong).to_string().contains("server.public_url"), "{wrong}");
    }
}
