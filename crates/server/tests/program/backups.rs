//! `backup` and `restore` beside a running program: while it publishes, when it or they are killed, on a full disk.

use crate::program::{PATIENCE, Program, assert_sound, run, scrollback};
use reqwest::Method;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

const PUBLISHERS: u64 = 4;
const ROOM: &str = "lobby";

fn backup(data: &Path, to: &Path) -> Command {
    let mut command = scrollback(&["backup", "--data"]);
    command.arg(data).arg("--to").arg(to);
    command
}

/// Adds a point; its id.
fn add_point(data: &Path, to: &Path) -> u64 {
    let (succeeded, said, complained) = run(backup(data, to));
    assert!(succeeded, "{said}{complained}");
    let id = said.strip_prefix("point ").and_then(|said| said.split(':').next()).expect("the point is named");
    id.parse().expect("a number")
}

fn restore(from: &Path, to: &Path, point: u64) {
    let mut command = scrollback(&["restore", "--point", &point.to_string(), "--from"]);
    command.arg(from).arg("--to").arg(to);
    let (succeeded, said, complained) = run(command);
    assert!(succeeded && said.contains(&point.to_string()), "{said}{complained}");
}

fn id_of(message: &Value) -> u64 {
    message["id"].as_str().expect("an id").parse().expect("a number")
}

/// Publishes until told to stop; the ids that were acknowledged.
async fn publish(program: &Program, stop: &AtomicBool, acknowledged: &Mutex<Vec<u64>>) {
    while !stop.load(Ordering::SeqCst) {
        let outcome = program.publish(ROOM, "\"something that is said\"").await;
        acknowledged.lock().expect("not poisoned").push(id_of(&outcome));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_point_taken_while_messages_are_published_is_the_exact_history_up_to_its_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let program = Program::start(&data);
    let (stop, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let mut points = Vec::new();
    let take_points = async {
        for _ in 0..3 {
            let enough = acknowledged.lock().expect("not poisoned").len() + 50;
            while acknowledged.lock().expect("not poisoned").len() < enough {
                tokio::task::yield_now().await;
            }
            let before = acknowledged.lock().expect("not poisoned").clone();
            let (data, backups) = (data.clone(), backups.clone());
            let point = tokio::task::spawn_blocking(move || add_point(&data, &backups)).await.expect("taken");
            assert!(before.iter().all(|id| *id <= point), "what was acknowledged before is in the point");
            points.push(point);
        }
        stop.store(true, Ordering::SeqCst);
    };
    let publishers = (0..PUBLISHERS).map(|_| publish(&program, &stop, &acknowledged));
    tokio::join!(futures_util::future::join_all(publishers), take_points);
    let history = program.history(ROOM).await;
    program.kill();
    for point in points {
        let to = folder.path().join(format!("restored-{point}"));
        restore(&backups, &to, point);
        assert_sound(&to);
        let restored = Program::start(&to);
        let expected: Vec<&Value> = history.iter().filter(|message| id_of(message) <= point).collect();
        let found = restored.history(ROOM).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "point {point}");
        let next = restored.publish(ROOM, "\"on\"").await;
        assert!(id_of(&next) > point && next["seq"] == found.len() as u64 + 1);
    }
}

#[tokio::test]
async fn a_stopped_folder_is_backed_up_listed_checked_and_thinned_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let mut points = Vec::new();
    for number in 0..3 {
        let program = Program::start(&data);
        program.publish(ROOM, &number.to_string()).await;
        program.kill();
        points.push(add_point(&data, &backups));
    }
    let mut list = scrollback(&["backup", "--list"]);
    list.arg(&backups);
    let (succeeded, said, _) = run(list);
    let listed: Vec<u64> =
        said.lines().map(|line| line.split(' ').next().expect("an id").parse().expect("a number")).collect();
    assert!(succeeded && listed == points, "{said}");

    let mut keep = backup(&data, &backups);
    keep.args(["--keep", "1"]);
    let (succeeded, said, complained) = run(keep);
    assert!(succeeded && said.contains("2 older points are gone"), "{said}{complained}");
    let mut check = scrollback(&["backup", "--check"]);
    check.arg(&backups);
    let (succeeded, said, _) = run(check);
    assert!(succeeded && said.contains("1 points, nothing is wrong"), "{said}");

    let damaged = largest(&backups.join("files"));
    let mut bytes = fs::read(&damaged).expect("read");
    bytes[10] ^= 4;
    fs::write(&damaged, bytes).expect("written");
    let mut check = scrollback(&["backup", "--check"]);
    check.arg(&backups);
    let (succeeded, said, complained) = run(check);
    assert!(!succeeded && said.contains(damaged.to_str().expect("text")), "{said}{complained}");
    let mut restore = scrollback(&["restore", "--from"]);
    restore.arg(&backups).arg("--to").arg(folder.path().join("new"));
    let (succeeded, _, complained) = run(restore);
    assert!(!succeeded && complained.contains("its checksum does not fit"), "{complained}");
}

fn largest(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("an entry"));
    entries.max_by_key(|entry| entry.metadata().expect("a size").len()).expect("a file").path()
}

/// Messages that do not compress, so that there is something to be copied.
async fn publish_much(program: &Program) {
    for number in 0..40_u64 {
        let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut text = String::new();
        while text.len() < 200 << 10 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            text.push_str(&format!("{random:016x}"));
        }
        let body = format!("{{\"payload\":\"{number} {text}\"}}");
        let request = program.request(Method::POST, &format!("channels/{ROOM}/messages")).body(body);
        assert!(request.send().await.expect("an answer").status().is_success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backup_and_a_killed_program_leave_every_point_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let mut program = Program::start(&data);
    program.publish(ROOM, "\"first\"").await;
    let first = add_point(&data, &backups);
    publish_much(&program).await;
    for round in 0..6 {
        let mut child = backup(&data, &backups).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // Ever later into the copying; the last ones may come to their end.
        let patience = Instant::now() + PATIENCE;
        let enough = fs::read_dir(backups.join("files")).expect("listed").count() + round * 2;
        while fs::read_dir(backups.join("files")).expect("listed").count() < enough
            && child.try_wait().expect("waited").is_none()
            && Instant::now() < patience
        {
            tokio::task::yield_now().await;
        }
        if round % 2 == 0 {
            child.kill().expect("killed");
        } else {
            program.kill();
            program = Program::start(&data);
        }
        child.wait().expect("waited");
        let mut check = scrollback(&["backup", "--check"]);
        check.arg(&backups);
        let (sound, said, complained) = run(check);
        assert!(sound, "round {round}: {said}{complained}");
    }
    let last = add_point(&data, &backups);
    let history = program.history(ROOM).await;
    program.kill();
    for (point, messages) in [(first, 1), (last, history.len())] {
        let to = folder.path().join(format!("restored-{point}"));
        restore(&backups, &to, point);
        let restored = Program::start(&to).history(ROOM).await;
        assert_eq!(restored, history[..messages]);
    }
}

#[tokio::test]
async fn a_disk_that_is_full_of_backups_is_told_and_the_points_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, small) = (folder.path().join("data"), folder.path().join("small"));
    fs::create_dir(&small).expect("made");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "a full disk cannot be tried: no file system can be mounted");
        println!("not tried: no file system can be mounted");
        return;
    }
    let unmount = Unmount(small.clone());
    let program = Program::start(&data);
    program.publish(ROOM, "\"first\"").await;
    let first = add_point(&data, &small);
    publish_much(&program).await;
    let (succeeded, _, complained) = run(backup(&data, &small));
    assert!(!succeeded && complained.contains("No space left on device"), "{complained}");
    assert!(complained.contains("those that were there are whole"), "{complained}");
    program.publish(ROOM, "\"and on\"").await;
    let to = folder.path().join("restored");
    restore(&small, &to, first);
    assert_eq!(Program::start(&to).history(ROOM).await.len(), 1);
    drop(unmount);
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn who_asks_for_nothing_or_too_much_is_told_what_there_is() {
    let (succeeded, _, complained) = run(scrollback(&["backup"]));
    assert!(!succeeded && complained.contains("--to <FOLDER>") && complained.contains("--list"), "{complained}");
    let (succeeded, _, complained) = run(scrollback(&["backup", "--data", "no-such-folder", "--to", "x"]));
    assert!(!succeeded && complained.contains("there is no data folder no-such-folder"), "{complained}");
    let (succeeded, _, complained) = run(scrollback(&["restore", "--from", "no-such-folder", "--to", "x"]));
    assert!(!succeeded && complained.contains("no-such-folder holds no backups"), "{complained}");
}

#[tokio::test]
async fn two_backups_at_once_are_one_after_the_other_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, backups) = (folder.path().join("data"), folder.path().join("backups"));
    let program = Program::start(&data);
    publish_much(&program).await;
    let (data, backups) = (Arc::new(data), Arc::new(backups));
    let runs = (0..3).map(|_| {
        let (data, backups) = (data.clone(), backups.clone());
        tokio::task::spawn_blocking(move || run(backup(&data, &backups)))
    });
    let mut succeeded = 0;
    for outcome in futures_util::future::join_all(runs).await {
        let (done, _, complained) = outcome.expect("it ran");
        succeeded += usize::from(done);
        assert!(done || complained.contains("another backup"), "{complained}");
    }
    assert!(succeeded > 0);
    add_point(&data, &backups);
}

/// The lines of docs/operating.md, as they are printed there.
#[tokio::test]
async fn the_operators_page_backs_up_and_restores_as_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(&folder.path().join("scrollback-data"));
    program.publish(ROOM, "\"kept\"").await;
    run_printed("### Backup and restore", folder.path());
    let restored = Program::start(&folder.path().join("restored-data"));
    assert_eq!(restored.history(ROOM).await.len(), 1);
}

/// Runs the shell blocks of a section in a folder; `scrollback` is the program under test.
pub fn run_printed(section: &str, folder: &Path) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operating.md");
    let page = fs::read_to_string(page).expect("the operators' page");
    let begin = page.find(section).unwrap_or_else(|| panic!("{section} is gone"));
    let section = page[begin + 4..].split("\n##").next().expect("its text");
    let commands: Vec<&str> =
        section.split("```sh\n").skip(1).map(|block| block.split("```").next().expect("an end")).collect();
    assert!(!commands.is_empty(), "nothing is printed");
    let programs = folder.join("programs");
    fs::create_dir_all(&programs).expect("made");
    let link = programs.join("scrollback");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_scrollback"), &link).expect("linked");
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    for block in commands {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", block]).current_dir(folder).env("PATH", &path);
        let (succeeded, said, complained) = run(shell);
        assert!(succeeded, "{block}\n{said}{complained}");
    }
}
