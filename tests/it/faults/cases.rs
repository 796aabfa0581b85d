//! What can go wrong between a comparison and Webex's API, a case each.

/// What is published of two hours of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    All,
    Some,
    Nothing,
}

pub(super) use Published::{All, Nothing, Some as Part};

/// One thing that goes wrong.
pub(super) struct Case {
    pub(super) what: &'static str,
    pub(super) stream: &'static str,
    /// What the double does.
    pub(super) script: &'static str,
    pub(super) published: Published,
    /// How the two windows end, or what the error tells that stops the stream.
    pub(super) ends: Result<[&'static str; 2], &'static [&'static str]>,
    /// Words of answers, and how often each is counted.
    pub(super) outcomes: &'static [(&'static str, f64)],
    /// Waits that an answer has asked for. They are longer than those of rates.
    pub(super) waits_s: &'static [u64],
}

pub(super) const WHOLE: Case = Case {
    what: "whole answers",
    stream: "cdr",
    script: "",
    published: All,
    ends: Ok(["complete", "complete"]),
    outcomes: &[],
    waits_s: &[],
};

/// A fault of the counts.
macro_rules! counts {
    ($when:literal, $then:literal) => {
        concat!("[[fault]]\nwhen = { path = \"/v1/partners/cdrcountbyorg\"", $when, " }\nthen = { ", $then, " }\n")
    };
}

/// A fault of an organisation's records.
macro_rules! rows {
    ($when:literal, $then:literal) => {
        concat!("[[fault]]\nwhen = { path = \"/v1/partners/cdrsbyorg\"", $when, " }\nthen = { ", $then, " }\n")
    };
}

/// A fault of the Detailed Call History.
macro_rules! feed {
    ($when:literal, $then:literal) => {
        concat!(
            "[manners]\nrates = false\n[[fault]]\nwhen = { path = \"/v1/cdr_feed\"",
            $when,
            " }\nthen = { ",
            $then,
            " }\n"
        )
    };
}

/// What stops the stream: nothing moves, and the error tells the mend.
pub(super) const MISCONFIGURED: &[Case] = &[
    Case {
        what: "credentials that are never accepted",
        script: counts!("", "status = 401"),
        published: Nothing,
        ends: Err(&["unauthorized", "look at its keys"]),
        outcomes: &[("unauthorized", 2.0)],
        ..WHOLE
    },
    Case {
        what: "credentials that are not accepted for rows any more",
        script: rows!("", "status = 401"),
        published: Nothing,
        ends: Err(&["unauthorized", "look at its keys"]),
        outcomes: &[("unauthorized", 2.0)],
        ..WHOLE
    },
    Case {
        what: "a missing right",
        script: "[manners]\nrights = \"refused\"\n",
        published: Nothing,
        ends: Err(&["forbidden", "spark-admin:calling_cdr_read", "Access is denied"]),
        outcomes: &[("forbidden", 1.0)],
        ..WHOLE
    },
    Case {
        what: "no such path",
        script: counts!("", "status = 404, body = \"{\\\"message\\\":\\\"no route\\\"}\""),
        published: Nothing,
        ends: Err(&["not_found", "compare the URLs", "no route"]),
        outcomes: &[("not_found", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a parameter that is refused",
        script: counts!("", "status = 422, body = \"{\\\"message\\\":\\\"startTime is wrong\\\"}\""),
        published: Nothing,
        ends: Err(&["refused", "422", "startTime is wrong"]),
        outcomes: &[("refused", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a bad request for no known reason",
        script: counts!("", "status = 400, body = \"{\\\"message\\\":\\\"orgs are odd\\\"}\""),
        published: Nothing,
        ends: Err(&["refused", "400", "orgs are odd"]),
        outcomes: &[("refused", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a region at a host that is none of ours",
        script: counts!("", "status = 451, body = \"{\\\"message\\\":\\\"go to URL: https://else.example.net\\\"}\""),
        published: Nothing,
        ends: Err(&["wrong_region", "region_urls", "else.example.net"]),
        outcomes: &[("wrong_region", 1.0)],
        ..WHOLE
    },
    Case {
        what: "more requests than are allowed for long",
        script: counts!("", "status = 429, headers = { Retry-After = \"1000\" }"),
        published: Nothing,
        ends: Err(&["asked again in 1000 s"]),
        outcomes: &[("throttled", 1.0)],
        ..WHOLE
    },
];

/// What is mended by asking again, or needs no mending.
pub(super) const PASSING: &[Case] = &[
    WHOLE,
    Case {
        what: "an answer without a body",
        script: counts!("", "status = 204"),
        published: Nothing,
        outcomes: &[("empty", 2.0)],
        ..WHOLE
    },
    Case {
        what: "an hour of which the code alone tells that it is empty",
        script: counts!("", "status = 404, body = \"{\\\"errorCode\\\":404}\""),
        published: Nothing,
        outcomes: &[("empty", 2.0)],
        ..WHOLE
    },
    Case {
        what: "a token that has ended",
        script: counts!(", first = 1", "status = 401"),
        outcomes: &[("unauthorized", 1.0)],
        ..WHOLE
    },
    Case {
        what: "more requests than are allowed",
        script: counts!(", first = 2", "status = 429, headers = { Retry-After = \"7\" }"),
        outcomes: &[("throttled", 2.0)],
        waits_s: &[7, 7],
        ..WHOLE
    },
    Case {
        what: "a clock of ours that is ahead",
        script: counts!(
            ", first = 4",
            "status = 400, body = \"{\\\"message\\\":\\\"End time is not older than 5 minutes\\\"}\""
        ),
        outcomes: &[("clock", 4.0)],
        waits_s: &[60, 60, 60, 60],
        ..WHOLE
    },
    Case {
        what: "a locked resource, which tells no time",
        script: rows!(", first = 1", "status = 423"),
        outcomes: &[("throttled", 1.0)],
        waits_s: &[60],
        ..WHOLE
    },
    Case {
        what: "a server's error that passes",
        script: counts!(", first = 5", "status = 503"),
        outcomes: &[("server_error", 5.0)],
        ..WHOLE
    },
    Case {
        what: "a page of HTML that passes",
        script: rows!(", first = 1", "body = \"<html></html>\""),
        outcomes: &[("not_understood", 1.0)],
        waits_s: &[60],
        ..WHOLE
    },
    Case {
        what: "connections that are closed, and answers that are cut",
        script: concat!(counts!(", nth = 1", "close = true"), rows!(", nth = 1", "cut_bytes = 20")),
        outcomes: &[("truncated", 1.0)],
        ..WHOLE
    },
    Case { what: "records that are told twice", script: "[manners]\ndoubled_percent = 100\n", ..WHOLE },
    Case {
        what: "a window that is too wide",
        stream: "cdr_feed",
        script: feed!(
            ", first = 1",
            "status = 400, body = \"{\\\"message\\\":\\\"Time duration is more than 1 hours\\\"}\""
        ),
        outcomes: &[("invalid", 1.0)],
        ..WHOLE
    },
    Case {
        what: "an answer that is larger than is read, of hours that can be asked for one by one",
        stream: "cdr_feed",
        script: feed!(", first = 1", "pad_bytes = 68000000"),
        outcomes: &[("too_large", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a page that is too slow",
        stream: "cdr_feed",
        script: feed!(", first = 1", "status = 504"),
        outcomes: &[("invalid", 1.0)],
        ..WHOLE
    },
];

/// What leaves a window open.
pub(super) const OPEN: &[Case] = &[
    Case {
        what: "a server that does not come back",
        script: counts!(", first = 6", "status = 500"),
        published: Part,
        ends: Ok(["open: server_error", "complete"]),
        outcomes: &[("server_error", 6.0)],
        ..WHOLE
    },
    Case {
        what: "a clock of ours that stays ahead",
        script: counts!(
            ", first = 5",
            "status = 400, body = \"{\\\"message\\\":\\\"End time is not older than 5 minutes\\\"}\""
        ),
        published: Part,
        ends: Ok(["open: clock", "complete"]),
        outcomes: &[("clock", 5.0)],
        waits_s: &[60, 60, 60, 60],
        ..WHOLE
    },
    Case {
        what: "a missing right for one organisation and hour",
        script: rows!(", nth = 1", "status = 403"),
        published: Part,
        ends: Ok(["open: forbidden", "complete"]),
        outcomes: &[("forbidden", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a region of one organisation at a host that is none of ours",
        script: rows!(
            ", nth = 1",
            "status = 451, body = \"{\\\"message\\\":\\\"go to URL: https://else.example.net\\\"}\""
        ),
        published: Part,
        ends: Ok(["open: wrong_region", "complete"]),
        outcomes: &[("wrong_region", 1.0)],
        ..WHOLE
    },
    Case {
        what: "pages of HTML",
        script: counts!(", first = 2", "body = \"<html></html>\""),
        published: Part,
        ends: Ok(["open: not_understood", "complete"]),
        outcomes: &[("not_understood", 2.0)],
        waits_s: &[60],
        ..WHOLE
    },
    Case {
        what: "an answer that is larger than is read",
        script: counts!(", nth = 1", "pad_bytes = 68000000"),
        published: Part,
        ends: Ok(["open: too_large", "complete"]),
        outcomes: &[("too_large", 1.0)],
        ..WHOLE
    },
    Case {
        what: "fewer organisations than are told",
        script: counts!(", first = 3", "headers = { Total-Number-Of-Organizations = \"9\" }"),
        ends: Ok(["open: short_answer", "complete"]),
        outcomes: &[("short_answer", 1.0)],
        ..WHOLE
    },
    Case {
        what: "counts that are greater than the lists",
        script: "[manners]\ncount_off = 1\n",
        ends: Ok(["open: unexplained", "open: unexplained"]),
        ..WHOLE
    },
    Case {
        what: "a redirect to another host",
        script: counts!(", nth = 1", "status = 302, headers = { Location = \"https://else.example.net/\" }"),
        published: Part,
        ends: Ok(["open: redirect_refused", "complete"]),
        outcomes: &[("redirect_refused", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a link to another host",
        stream: "cdr_feed",
        script: "[manners]\nrates = false\npage_records = 3\nlink = \"foreign\"\n",
        published: Part,
        ends: Ok(["open: foreign_host", "open: foreign_host"]),
        outcomes: &[("foreign_host", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a link that can not be read",
        stream: "cdr_feed",
        script: "[manners]\nrates = false\npage_records = 3\nlink = \"malformed\"\n",
        published: Part,
        ends: Ok(["open: malformed_link", "open: malformed_link"]),
        outcomes: &[("malformed_link", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a page that repeats",
        stream: "cdr_feed",
        script: "[manners]\nrates = false\npage_records = 3\nlink = \"repeated\"\n",
        published: Part,
        ends: Ok(["open: page_repeats", "open: page_repeats"]),
        outcomes: &[("page_repeats", 1.0)],
        ..WHOLE
    },
    Case {
        what: "more requests than are allowed for long, after some were",
        script: rows!(", nth = 2", "status = 429, headers = { Retry-After = \"1000\" }"),
        published: Part,
        ends: Err(&["asked again in 1000 s"]),
        outcomes: &[("throttled", 1.0)],
        ..WHOLE
    },
    Case {
        what: "a further page that is refused",
        stream: "cdr_feed",
        script: "[manners]\nrates = false\npage_records = 3\n[[fault]]\nwhen = { path = \"/v1/cdr_feed\", nth = 2 }\nthen = { status = 403 }\n",
        published: Part,
        ends: Err(&["forbidden"]),
        outcomes: &[("forbidden", 1.0)],
        ..WHOLE
    },
    Case {
        what: "records that are not kept any more",
        script: counts!(
            ", nth = 1",
            "status = 400, body = \"{\\\"message\\\":\\\"Start time is older than 48 hours\\\"}\", skew_s = 200000"
        ),
        published: Part,
        ends: Ok(["expired: expired", "complete"]),
        outcomes: &[("expired", 1.0)],
        ..WHOLE
    },
];
