//! A disk that is full: what adds is refused with the reason, reading and deleting go on, and when there is room again
//! all goes on by itself; nothing that was acknowledged is missing. On a small file system in memory, which only root
//! can mount.

use crate::program::{PATIENCE, Program, assert_sound};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// 160 MiB for the log, 48 for the ballast, 80 for others, and the rest for the tables.
const DISK: &str = "size=340m";
const OTHERS_BYTES: usize = 80 << 20;
/// Sizes that keep the proportions of the defaults: the ballast holds more than twice what the tails hold.
const SIZES: [&str; 4] = ["--tail", "8MiB", "--ballast", "48MiB"];
const PAYLOAD_BYTES: usize = 200 << 10;
/// More than fits on the disk.
const MESSAGES_MOST: u64 = 2_000;
/// Below every wait of the store (a flush that does not come takes 5 s), above what a busy machine needs.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A mounted file system.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where that is not allowed.
    fn mount() -> Option<Disk> {
        let disk = Disk(tempfile::tempdir().expect("a folder"));
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(disk.0.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(disk);
        }
        assert!(std::env::var_os("CI").is_none(), "a full disk cannot be tried: no file system can be mounted");
        println!("not tried: no file system can be mounted");
        None
    }

    /// Room for all that `verify` wants, which takes the sizes of the defaults.
    fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=4g"]).arg(self.0.path()).status();
        assert!(grown.is_ok_and(|status| status.success()));
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Takes all the room that is left.
    fn fill_up(&self, name: &str) {
        let mut file = fs::File::create(self.join(name)).expect("a name takes no room");
        for piece in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![1; piece]).is_ok() {}
        }
    }

    fn free(&self, name: &str) {
        fs::remove_file(self.join(name)).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// Text that does not compress, and that tells its number.
fn payload(number: u64) -> String {
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = format!("\"{number} ");
    while text.len() < PAYLOAD_BYTES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        text.push_str(&format!("{random:016x}"));
    }
    text + "\""
}

/// A program on the small disk, and what it acknowledged: the numbers of messages, with their ids.
struct Life {
    program: Program,
    there: Vec<(u64, String)>,
    next: u64,
}

impl Life {
    fn begin(data: &Path) -> Life {
        Life { program: Program::start_with(data, &SIZES), there: Vec::new(), next: 0 }
    }

    /// Starts again after SIGKILL; everything is there.
    async fn killed_and_begun_again(self, data: &Path) -> Life {
        self.program.kill();
        let life = Life { program: Program::start_with(data, &SIZES), ..self };
        life.assert_all_there("after SIGKILL").await;
        life
    }

    /// Publishes the next message; what was wrong if it was refused.
    async fn publish(&mut self) -> Result<(), String> {
        self.next += 1;
        let body = format!("{{\"payload\":{}}}", payload(self.next));
        let request = self.program.request(Method::POST, "channels/full/messages").body(body);
        let answer = request.send().await.expect("an answer");
        let (status, said) = (answer.status(), answer.json::<Value>().await.expect("JSON"));
        match status {
            StatusCode::CREATED => {
                self.there.push((self.next, said["id"].as_str().expect("an id").to_owned()));
                Ok(())
            }
            StatusCode::SERVICE_UNAVAILABLE => Err(said["detail"].as_str().expect("a reason").to_owned()),
            _ => panic!("{status}: {said}"),
        }
    }

    /// Publishes until it is refused.
    async fn fill(&mut self) {
        while self.next < MESSAGES_MOST {
            if let Err(reason) = self.publish().await {
                assert!(reason.contains("disk is full"), "{reason}");
                return;
            }
        }
        panic!("the disk took more than it can hold");
    }

    async fn publish_until_accepted(&mut self) {
        let patience = Instant::now() + PATIENCE;
        while let Err(reason) = self.publish().await {
            assert!(Instant::now() < patience, "publishing does not come back: {reason}");
        }
    }

    async fn delete_the_first(&mut self) {
        let (_, id) = self.there.remove(0);
        let request = self.program.request(Method::DELETE, &format!("channels/full/messages/{id}"));
        let answer = request.send().await.expect("an answer");
        let (status, said) = (answer.status(), answer.json::<Value>().await.expect("JSON"));
        assert_eq!((status, &said["deleted"]), (StatusCode::OK, &Value::from(1)), "{said}");
    }

    async fn assert_all_there(&self, when: &str) {
        let history = self.program.history("full").await;
        let number = |message: &Value| message["payload"].as_str()?.split(' ').next()?.parse().ok();
        let found: Vec<u64> = history.iter().map(|message| number(message).expect("a number")).collect();
        let expected: Vec<u64> = self.there.iter().map(|(number, _)| *number).collect();
        assert_eq!(found, expected, "{when}");
    }

    /// While the disk is full, all is read again and again, messages are deleted, and what is published is refused at
    /// once, with the reason.
    async fn assert_all_else_goes_on(&mut self) {
        for _ in 0..4 {
            self.assert_all_there("reading goes on").await;
            let began = Instant::now();
            let published = self.publish().await;
            assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
            let reason = published.expect_err("the disk is full");
            assert!(reason.contains("disk is full"), "{reason}");
            self.delete_the_first().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_what_adds_and_nothing_else() {
    let Some(disk) = Disk::mount() else { return };
    fs::write(disk.join("others"), vec![1; OTHERS_BYTES]).expect("there is room");
    let data = disk.join("data");
    let mut life = Life::begin(&data);
    life.fill().await;
    life.assert_all_else_goes_on().await;

    disk.free("others");
    life.publish_until_accepted().await;
    life.assert_all_there("with room again").await;
    let life = life.killed_and_begun_again(&data).await;
    drop(life);
    disk.grow();
    assert_sound(&data);
}

/// Before the first flush, in the midst of the flushes, and when the table has merged some.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_suddenly_full_loses_nothing_and_serves_after_a_start() {
    for messages in [5, 41, 160] {
        let Some(disk) = Disk::mount() else { return };
        let data = disk.join("data");
        let mut life = Life::begin(&data);
        for _ in 0..messages {
            life.publish().await.expect("there is room");
        }
        disk.fill_up("others");
        life.fill().await;
        life.assert_all_there("suddenly full").await;

        life.program.kill();
        disk.fill_up("more");
        let mut life = Life { program: Program::start_with(&data, &SIZES), ..life };
        life.assert_all_there("started on a full disk").await;
        disk.free("others");
        disk.free("more");
        life.publish_until_accepted().await;
        life.assert_all_there("with room again").await;
        drop(life);
        disk.grow();
        assert_sound(&data);
    }
}
