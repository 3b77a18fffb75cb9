//! What the commands say and how they end.

use crate::program::{Program, assert_sound, run, scrollback, serve};
use std::{
    fs,
    path::{Path, PathBuf},
};

const MISTAKES: &str = "listen = \"nowhere\"\ndta = \"x\"\n\n[[app]]\nname = \"a b\"\n";

#[test]
fn a_configuration_with_mistakes_is_refused_with_all_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("scrollback.toml");
    std::fs::write(&config, MISTAKES).expect("a file");
    let config = config.to_str().expect("a path in UTF-8");
    let data = folder.path().join("data");
    for command in [scrollback(&["check", "--config", config]), serve(&data, &["--config", config])] {
        let (succeeded, _, complained) = run(command);
        assert!(!succeeded);
        for part in
            ["3 mistakes", "line 1: listen", "line 2: dta is not a setting; did you mean data?", "line 5: app.name"]
        {
            assert!(complained.contains(part), "{part:?} is missing in {complained}");
        }
    }
    assert!(!data.exists(), "nothing was begun");
}

#[test]
fn check_tells_what_is_served_and_no_secret() {
    let (succeeded, said, _) = run(scrollback(&["check"]));
    assert!(succeeded);
    assert!(said.contains("app demo") && said.contains("may read, write, delete, admin"), "{said}");
    assert!(said.contains("Scaledrone channel demo, tokens off, history 100 messages of 30days"), "{said}");
    let anyone = "anyone who can reach 127.0.0.1:7117 may read";
    assert!(said.contains(&format!("{anyone}, write and delete in all channels through PubNub")), "{said}");
    assert!(said.contains(&format!("{anyone} and write in all channels through Scaledrone")), "{said}");
    for secret in ["demo-admin", "sec-demo", "sd-demo", "fedcba98", "osm-ann"] {
        assert!(!said.contains(secret), "{secret} is shown in {said}");
    }
}

#[test]
fn demo_secrets_are_refused_where_others_can_reach_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = scrollback(&["serve", "--listen", "0.0.0.0:0", "--data"]);
    command.arg(folder.path());
    let (succeeded, _, complained) = run(command);
    assert!(!succeeded);
    assert!(complained.contains("demo secret"), "{complained}");
}

#[tokio::test]
async fn verify_names_the_table_that_is_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start(folder.path());
    program.publish("lobby", "\"a message\"").await;
    program.kill();
    assert_sound(folder.path());
    let table = largest_table(&folder.path().join("tables/keyspaces"));
    let mut bytes = fs::read(&table).expect("read");
    bytes[10] ^= 4;
    fs::write(&table, bytes).expect("written");
    let mut command = scrollback(&["verify", "--data"]);
    command.arg(folder.path());
    let (succeeded, said, complained) = run(command);
    assert!(!succeeded && complained.contains("one thing is wrong"), "{complained}");
    assert!(said.contains(table.to_str().expect("a path in UTF-8")), "{said}");
}

fn largest_table(keyspaces: &Path) -> PathBuf {
    let folders = fs::read_dir(keyspaces).expect("listed").map(|entry| entry.expect("an entry").path());
    // The space 0 has the names of the others.
    let folders = folders.filter(|folder| !folder.ends_with("0"));
    let tables = folders.flat_map(|folder| fs::read_dir(folder.join("tables")).expect("listed"));
    let tables = tables.map(|entry| entry.expect("an entry"));
    tables.max_by_key(|table| table.metadata().expect("a size").len()).expect("a table").path()
}

#[test]
fn there_is_nothing_to_verify_in_a_folder_that_is_not_there() {
    let (succeeded, _, complained) = run(scrollback(&["verify", "--data", "no-such-folder"]));
    assert!(!succeeded);
    assert!(complained.contains("there is no data folder no-such-folder"), "{complained}");
}
