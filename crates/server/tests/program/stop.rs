//! Stopping, and the lock on the folder.

use crate::{
    program::{Program, assert_sound, run, serve},
    work::read_until,
};
use reqwest::Method;
use std::time::Duration;

#[tokio::test]
async fn sigterm_ends_streams_and_leaves_in_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    program.publish("lobby", "1").await;
    let mut stream = program.request(Method::GET, "channels/lobby/stream").send().await.expect("a stream");
    read_until(&mut stream, "event: position").await;
    program.terminate();
    read_until(&mut stream, ": stopping").await;
    assert!(matches!(stream.chunk().await, Ok(None)), "the stream ends whole");
    let (status, took) = program.ended().await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "it took {took:?}");

    let program = Program::start(folder.path());
    assert_eq!(program.history("lobby").await.len(), 1);
    program.kill();
    assert_sound(folder.path());
}

#[tokio::test]
async fn a_second_program_on_the_same_folder_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    let (succeeded, _, complained) = run(serve(folder.path(), &[]));
    assert!(!succeeded);
    assert!(complained.contains("in use by another program"), "{complained}");
    assert!(complained.contains(&folder.path().display().to_string()), "{complained}");
    program.publish("lobby", "1").await;
}
