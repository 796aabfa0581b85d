//! A small disk for the spool, which can be filled.
//!
//! It is a tmpfs: mounted as it is by root, else in a name space of its own, in which the program runs
//! as well. Where the machine allows neither, the spool lies in an ordinary folder and its disk is
//! never full.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::watchdog::Watchdog;

const BALLAST: &str = "ballast";

/// The disk. It is gone when this value is, or the drill.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Where the program finds it.
    folder: PathBuf,
    keeper: Keeper,
}

/// What keeps the file system alive.
#[derive(Debug)]
enum Keeper {
    /// A mount of root, undone by the watchdog.
    Mount { _unmount: Watchdog },
    /// A process in the name space, which ends when its standard input does.
    NameSpace(NameSpace),
    /// No file system of its own.
    None,
}

#[derive(Debug)]
struct NameSpace(Child);

impl Drop for NameSpace {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // There is nothing to be done about a shell that can not be waited for.
        self.0.wait().ok();
    }
}

impl Disk {
    /// Makes a disk of this size at a folder, which is created.
    pub(crate) fn make(folder: PathBuf, bytes: u64) -> Self {
        fs::create_dir(&folder).unwrap();
        let keeper = mount(&folder, bytes).or_else(|| enter_name_space(&folder, bytes)).unwrap_or(Keeper::None);
        Self { folder, keeper }
    }

    /// Whether it can be filled.
    pub(crate) fn is_small(&self) -> bool {
        !matches!(self.keeper, Keeper::None)
    }

    /// Where the program may keep its spool.
    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.join("spool")
    }

    /// A command that sees the disk.
    pub(crate) fn command(&self, program: &str) -> Command {
        let Keeper::NameSpace(NameSpace(process)) = &self.keeper else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "--user", "--mount", "--target", &process.id().to_string()]);
        command.args(["--", program]);
        command
    }

    /// Writes until nothing more can be written.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.seen_from_here().join(BALLAST)).unwrap();
        // The smaller blocks take what the larger ones left.
        for bytes in [1 << 20, 4096, 1] {
            let block = vec![b'.'; bytes];
            let error = loop {
                if let Err(error) = ballast.write_all(&block) {
                    break error;
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        }
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.seen_from_here().join(BALLAST)).unwrap();
    }

    /// The folder as this process sees it.
    fn seen_from_here(&self) -> PathBuf {
        match &self.keeper {
            Keeper::NameSpace(NameSpace(process)) => {
                let root = PathBuf::from(format!("/proc/{}/root", process.id()));
                root.join(self.folder.strip_prefix("/").unwrap())
            }
            Keeper::Mount { .. } | Keeper::None => self.folder.clone(),
        }
    }
}

fn options(bytes: u64) -> String {
    format!("size={bytes},mode=0700")
}

fn mount(folder: &Path, bytes: u64) -> Option<Keeper> {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &options(bytes), "tmpfs"]).arg(folder);
    let mounted = command.output().is_ok_and(|output| output.status.success());
    let unmount = || Watchdog::arm(r#"umount -l "$1""#, &[folder.to_str().unwrap()]);
    mounted.then(|| Keeper::Mount { _unmount: unmount() })
}

/// Starts a shell that mounts the disk in a name space of its own and stays there.
fn enter_name_space(folder: &Path, bytes: u64) -> Option<Keeper> {
    let line = r#"mount -t tmpfs -o "$2" tmpfs "$1" && echo mounted && read -r _"#;
    let shell = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", line, "disk"])
        .arg(folder)
        .arg(options(bytes))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut name_space = NameSpace(shell.ok()?);
    let mut said = String::new();
    BufReader::new(name_space.0.stdout.take()?).read_line(&mut said).ok()?;
    (said == "mounted\n").then_some(Keeper::NameSpace(name_space))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a program that sees the disk can write a new file to it.
    fn is_writable(disk: &Disk) -> bool {
        let line = r#"echo something longer than nothing > "$1/$$""#;
        disk.command("sh").args(["-c", line, "sh"]).arg(&disk.folder).output().unwrap().status.success()
    }

    #[test]
    fn a_full_disk_takes_nothing_until_there_is_room_again() {
        for make in [mount, enter_name_space] {
            let outside = tempfile::tempdir().unwrap();
            let folder = outside.path().join("disk");
            fs::create_dir(&folder).unwrap();
            // Not every machine allows both ways.
            let Some(keeper) = make(&folder, 1 << 20) else { continue };
            let disk = Disk { folder: folder.clone(), keeper };
            assert!(is_writable(&disk));
            disk.fill();
            assert!(!is_writable(&disk));
            disk.free();
            assert!(is_writable(&disk));
            drop(disk);
            assert!(fs::read_dir(&folder).unwrap().next().is_none(), "nothing is left of the disk");
        }
    }
}
