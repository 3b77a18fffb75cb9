//! What the commands say and how they end.

use crate::program::{run, scrollback, serve};

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

#[test]
fn there_is_nothing_to_verify_in_a_folder_that_is_not_there() {
    let (succeeded, _, complained) = run(scrollback(&["verify", "--data", "no-such-folder"]));
    assert!(!succeeded);
    assert!(complained.contains("there is no data folder no-such-folder"), "{complained}");
}
