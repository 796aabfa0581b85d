//! Finds an Apache Kafka to run: an installed one, else one from Maven, else one from Docker.

use std::{
    env, fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

/// The Maven project that names the jars, and with them the version.
const POM: &str = include_str!("../pom.xml");
const POM_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/pom.xml");

/// How the classes of Kafka are run.
#[derive(Debug)]
pub(super) enum Runtime {
    Java { class_path: String },
    Docker { image: String },
}

/// The Kafka of this machine, looked for (and fetched) once per test process.
///
/// # Panics
///
/// When there is none, with the ways to get one. A test that cannot run has not passed.
pub(super) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Result<Runtime, Unavailable>> = LazyLock::new(find);
    RUNTIME.as_ref().unwrap_or_else(|unavailable| panic!("{unavailable}"))
}

impl Runtime {
    pub(super) fn class_path(&self) -> &str {
        match self {
            Self::Java { class_path } => class_path,
            Self::Docker { .. } => "/opt/kafka/libs/*",
        }
    }

    /// A `java` that sees the folder of a node and the ports of this machine.
    pub(super) fn java(&self, node_dir: &Path, container: &str) -> Command {
        match self {
            Self::Java { .. } => Command::new("java"),
            Self::Docker { image } => java_in_container(image, node_dir, container),
        }
    }

    /// A command that sends a signal, through another program since the standard library cannot.
    pub(super) fn signal(&self, name: &str, process_id: u32, container: &str) -> Command {
        let mut command;
        match self {
            Self::Java { .. } => {
                command = Command::new("kill");
                command.arg(format!("-{name}")).arg(process_id.to_string());
            }
            Self::Docker { .. } => {
                command = Command::new("docker");
                command.args(["kill", "--signal", name, container]);
            }
        }
        command
    }
}

fn java_in_container(image: &str, node_dir: &Path, container: &str) -> Command {
    let owner = fs::metadata(node_dir).expect("the folder of a node is there");
    let dir = node_dir.display();
    let mut command = Command::new("docker");
    command
        // The network of this machine, since brokers and clients must know a broker by the same
        // address.
        .args(["run", "--rm", "--network", "host", "--name", container])
        // Else the files would be another user's, and the folder could not be removed.
        .args(["--user", &format!("{}:{}", owner.uid(), owner.gid())])
        .args(["--volume", &format!("{dir}:{dir}"), "--entrypoint", "java", image]);
    command
}

fn find() -> Result<Runtime, Unavailable> {
    if let Some(home) = variable("KAFKA_HOME") {
        return installed(Path::new(&home));
    }
    let cached = cache_folder()?.join(format!("kafka-{}", version()));
    match (responds("java", "-version"), responds("mvn", "--version")) {
        (true, _) if cached.is_dir() => Ok(java(&cached)),
        (true, true) => fetch_with_maven(&cached).map(|()| java(&cached)),
        _ => docker_image(),
    }
}

fn java(jars: &Path) -> Runtime {
    Runtime::Java { class_path: jars.join("*").display().to_string() }
}

fn installed(home: &Path) -> Result<Runtime, Unavailable> {
    if !responds("java", "-version") {
        return Err(Unavailable::because("KAFKA_HOME is set, but `java` does not run"));
    }
    let folders = [home.join("libs"), home.to_path_buf()];
    match folders.iter().find(|folder| holds_kafka(folder)) {
        Some(jars) => Ok(java(jars)),
        None => Err(Unavailable::because(format!("no kafka_*.jar in KAFKA_HOME={0}, nor in {0}/libs", home.display()))),
    }
}

fn holds_kafka(folder: &Path) -> bool {
    let Ok(files) = fs::read_dir(folder) else {
        return false;
    };
    let mut names = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
    names.any(|name| name.starts_with("kafka_") && name.ends_with(".jar"))
}

/// Copies the jars to a folder beside the wanted one and renames it, so that a folder of that name
/// is always whole.
fn fetch_with_maven(wanted: &Path) -> Result<(), Unavailable> {
    let cache = wanted.parent().expect("it lies in the cache folder");
    let unusable = |error| Unavailable::because(format!("the cache {} is unusable: {error}", cache.display()));
    fs::create_dir_all(cache).map_err(unusable)?;
    let fresh = tempfile::tempdir_in(cache).map_err(unusable)?;
    let jars = fresh.path().join("jars");
    copy_jars(&jars)?;
    match fs::rename(&jars, wanted) {
        // Another test process was faster, and has fetched the same.
        Err(_) if wanted.is_dir() => Ok(()),
        renamed => renamed.map_err(unusable),
    }
}

fn copy_jars(folder: &Path) -> Result<(), Unavailable> {
    let output = Command::new("mvn")
        .args(["-q", "-B", "-f", POM_PATH, "dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Unavailable::because(format!("`mvn` does not run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Err(Unavailable::because(format!("Maven could not fetch it:\n{said}")))
}

fn docker_image() -> Result<Runtime, Unavailable> {
    if !responds("docker", "info") {
        let reason = "KAFKA_HOME is not set, `java` or `mvn` does not run, and no Docker engine answers";
        return Err(Unavailable::because(reason));
    }
    let image = format!("apache/kafka:{}", version());
    // Pulled here, since a start that includes it could take longer than a start may.
    if succeeds(&["docker", "image", "inspect", &image]) || succeeds(&["docker", "pull", &image]) {
        return Ok(Runtime::Docker { image });
    }
    Err(Unavailable::because(format!("Docker could not pull the image {image}")))
}

fn cache_folder() -> Result<PathBuf, Unavailable> {
    let own = variable("TRUNKLINE_CACHE").map(PathBuf::from);
    let shared = || variable("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("trunkline"));
    let home = || variable("HOME").map(|home| Path::new(&home).join(".cache/trunkline"));
    own.or_else(shared)
        .or_else(home)
        .ok_or_else(|| Unavailable::because("none of TRUNKLINE_CACHE, XDG_CACHE_HOME and HOME is set"))
}

fn version() -> &'static str {
    let tail = POM.split_once("<kafka.version>").map(|(_, tail)| tail);
    let version = tail.and_then(|tail| tail.split_once("</kafka.version>"));
    version.map(|(version, _)| version).expect("pom.xml sets kafka.version")
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn responds(program: &str, argument: &str) -> bool {
    succeeds(&[program, argument])
}

fn succeeds(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// Why there is no Kafka to run.
#[derive(Debug)]
struct Unavailable {
    reason: String,
}

impl Unavailable {
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = version();
        write!(
            f,
            "there is no Apache Kafka to test with: {}\n\
             The broker tests need one of these:\n  \
             1. KAFKA_HOME, the folder of an Apache Kafka {version} (its jars in `libs`, or in the \
             folder itself), and Java 17 or newer;\n  \
             2. Java 17 or newer and Maven (`java` and `mvn`), to fetch Kafka {version} once;\n  \
             3. a Docker engine that answers `docker info`, to run apache/kafka:{version} with the \
             network of this machine.",
            self.reason
        )
    }
}
