//! Configurations as people write them: what is read, and every mistake with its line.

use super::*;
use dialect_osmium::{Override, Permissions, Role};

fn read_text(text: &str) -> Result<Checked, Vec<Mistake>> {
    let environment = |name: &str| (name == "KEY").then(|| "from-the-environment".to_owned());
    read(text, Path::new("."), &environment, &Overrides::default()).0
}

/// Every mistake as `line: text`.
fn mistakes(text: &str) -> Vec<String> {
    let mistakes = read_text(text).expect_err("there are mistakes");
    mistakes.into_iter().map(|mistake| format!("{}: {}", mistake.line, mistake.text)).collect()
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let found = mistakes(
        r#"listen = "localhost"
dta = "x"
[limits]
body = "4 elephants"
connections = 0
head_timeout = 30
[[app]]
name = "de mo"
[[app.key]]
may = ["read", "fly"]
channels = ["*x"]
[[app]]
[app.pubnub]
publish_key = "a"
access_manager = true
"#,
    );
    let expected = [
        r#"1: listen: "localhost" is not an address like "127.0.0.1:7117""#,
        "2: dta is not a setting; did you mean data?",
        r#"4: limits.body: "4 elephants" is not a size like "64KiB", "4MiB", "1GiB""#,
        "5: limits.connections: a number from 1 to 1000000 is needed",
        "6: limits.head_timeout: a text in quotes is needed, not a whole number",
        "8: app.name: app: 1 to 64 characters of a-z A-Z 0-9 - _",
        "9: app.key.secret is missing (or secret_file, or secret_env)",
        r#"10: app.key.may: "fly" is not one of read, history, live, presence, write, delete, manage, admin"#,
        r#"11: channels: "*x": a * is allowed at the end only"#,
        "12: app.name is missing",
        "13: app.pubnub.subscribe_key is missing",
        "13: app.pubnub: access_manager = true needs a secret_key",
    ];
    assert_eq!(found, expected);
}

#[test]
fn text_that_is_not_toml_is_told_with_the_rest() {
    let found = mistakes("listen = \nfoo = 1\n");
    assert!(found.iter().any(|text| text.starts_with("1: ")), "{found:?}");
    assert!(found.iter().any(|text| text.starts_with("2: foo is not a setting")), "{found:?}");
}

#[test]
fn what_contradicts_another_part_is_told() {
    let found = mistakes(
        r#"[[app]]
name = "a"
[[app.key]]
secret = "x"
[[app.key]]
secret = "x"
[app.scaledrone]
channel = "c"
[[app]]
name = "a"
"#,
    );
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "6: app.key: the same secret is given to another key, in line 4");
    assert!(found[1].starts_with("7: app.scaledrone is open to anyone and shares channels with a native key"));
    assert_eq!(found[2], r#"9: the app name "a" is given twice, first in line 1"#);
}

#[test]
fn a_history_comes_out_of_one_page() {
    let text = |page| {
        format!(
            "[limits]\npage_messages = {page}\n[[app]]\nname = \"a\"\n[app.scaledrone]\nchannel = \"c\"\nhistory = {{}}\n\
             [[app.scaledrone.room]]\nname = \"long-*\"\nhistory = {{ messages = 500 }}\n"
        )
    };
    assert!(read_text(&text(500)).is_ok());
    let expected = "5: app.scaledrone: a history of 500 messages is more than limits.page_messages = 499";
    assert_eq!(mistakes(&text(499)), [expected]);
}

#[test]
fn open_and_guarded_dialects_may_have_channels_of_their_own() {
    let text = |open: &str, guarded: &str| {
        format!(
            "[[app]]\nname = \"a\"\n[[app.key]]\nsecret = \"x\"\nchannels = {guarded}\n[app.scaledrone]\nchannel = \"c\"\nchannels = {open}\n"
        )
    };
    let is_fine = |open, guarded| read_text(&text(open, guarded)).is_ok();
    assert!(is_fine(r#"["open.*"]"#, r#"["closed.*", "news"]"#));
    assert!(!is_fine(r#"["open.*"]"#, r#"["open.news"]"#));
    assert!(!is_fine(r#"["o*"]"#, r#"["open.*"]"#));
    assert!(!is_fine(r#"["*"]"#, r#"["news"]"#));
    assert!(!is_fine("[]", r#"["news"]"#));
    assert!(is_fine(r#"["^open-[0-9]$"]"#, r#"["news"]"#));
    assert!(!is_fine(r#"["^open-[0-9]$"]"#, r#"["open-1"]"#));
    assert!(!is_fine(r#"["^open-[0-9]$"]"#, r#"["news.*"]"#), "what is not decided is not let through");
}

#[test]
fn demo_secrets_stay_on_this_machine() {
    let with = |listen: &str| DEFAULT.replace("127.0.0.1:7117", listen);
    assert!(read_text(&with("[::1]:7117")).is_ok());
    assert!(read_text(&with("127.8.8.8:1")).is_ok());
    let found = mistakes(&with("0.0.0.0:7117"));
    assert_eq!(found.len(), 7, "one for each demo secret: {found:?}");
    assert!(found.iter().all(|text| text.contains("demo secret")), "{found:?}");
}

#[test]
fn secrets_come_from_three_places_and_are_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("key"), "from-a-file\n").expect("a file");
    std::fs::write(folder.path().join("endless"), "x".repeat(70_000)).expect("a file");
    let secret = |line: &str| {
        let text = format!("[[app]]\nname = \"a\"\n[[app.key]]\n{line}\n");
        let environment = |name: &str| (name == "KEY").then(|| "from-the-environment".to_owned());
        read(&text, folder.path(), &environment, &Overrides::default()).0
    };
    let is = |line: &str, expected: &str| {
        let checked = secret(line).expect("no mistake");
        assert!(!format!("{:?}", checked.config).contains(expected), "secrets are hidden");
        checked.config.apps[0].keys[0].secret.value.is(expected.as_bytes())
    };
    assert!(is(r#"secret = "plain-secret""#, "plain-secret"));
    assert!(is(r#"secret_file = "key""#, "from-a-file"));
    assert!(is(r#"secret_env = "KEY""#, "from-the-environment"));
    for bad in [
        r#"secret_env = "OTHER""#,
        r#"secret_file = "missing""#,
        r#"secret_file = "endless""#,
        r#"secret = """#,
        "secret = \"a\"\nsecret_env = \"KEY\"",
    ] {
        assert_eq!(secret(bad).expect_err("a mistake").len(), 1, "{bad}");
    }
}

#[test]
fn what_nobody_can_use_is_said() {
    let warnings = |text: &str| read_text(text).expect("no mistake").warnings;
    assert_eq!(warnings(DEFAULT), [""; 0], "everything that is configured there is served");
    assert_eq!(warnings(""), ["no app is configured: nobody can be served (add [[app]])"]);
    let keyless = warnings("[[app]]\nname = \"a\"\n");
    assert_eq!(keyless, ["app a: without [[app.key]] nobody can call its native API"]);
}

#[test]
fn an_agora_project_is_read_as_it_is_spelled() {
    let text = |settings: &str| {
        format!(
            "[[app]]\nname = \"a\"\n[app.agora]\napp_id = \"970CA35de60c44645bbae8a215061b33\"\n\
             certificate = \"5CFd2fd1755d40ecb72977518be15d3b\"\n{settings}\n"
        )
    };
    let project = |settings: &str| {
        let checked = read_text(&text(settings)).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        checked.config.apps[0].agora.clone().expect("a project")
    };
    let plain = project("");
    assert_eq!(plain.app_id, "970CA35de60c44645bbae8a215061b33", "letter by letter");
    assert_eq!((plain.order, plain.rates), (model::Order::Descending, dialect_agora::Rates::default()));
    let other = project("order = \"asc\"\nhistory_rate = \"unlimited\"\nsend_rate = 7\nquery_life = \"1h\"");
    assert_eq!((other.order, other.handle_life), (model::Order::Ascending, Duration::from_secs(3600)));
    assert_eq!(other.rates, dialect_agora::Rates { history: 0, send: 7, events: 10 });
    let found = mistakes(&text("order = \"up\"\nsend_rate = 0\nquery_life = \"1m\"\nsecondary_certificate = \"x\""));
    assert_eq!(
        found,
        [
            r#"6: app.agora.order: "up" is neither "asc" nor "desc""#,
            "7: app.agora.send_rate: a number from 1 to 1000000 is needed",
            "8: app.agora.query_life: from 10m to 1day is allowed",
            "9: app.agora.secondary_certificate: 32 hexadecimal digits are needed",
        ]
    );
    let small = format!("[limits]\npage_messages = 100\n{}", text(""));
    assert_eq!(mistakes(&small), ["5: app.agora: its pages need limits.page_messages of at least 110"]);
}

/// A realm of two users and a community; `rest` begins in line 23.
fn realm(rest: &str) -> String {
    let user = |id, name: &str| format!("[[app.osmium.user]]\nid = {id}\nname = \"{name}\"\ntoken = \"t-{name}\"\n");
    let community = "[[app.osmium.community]]\nid = 5\nname = \"Town\"\nowner = 1\n\
                     [[app.osmium.community.role]]\nid = 500\nname = \"Elders\"\npermissions = [\"PIN_MESSAGES\"]\n\
                     [[app.osmium.community.channel]]\nid = 50\nname = \"square\"\n";
    format!("[[app]]\nname = \"a\"\n[app.osmium]\n{}{}{community}{rest}", user(1, "ann"), user(2, "bob"))
}

#[test]
fn a_directory_is_read_as_it_is_written() {
    let text = realm(
        r#"alias = "plaza"
overrides = { 0 = { deny = ["VIEW_CHANNEL"] }, 500 = { allow = ["VIEW_CHANNEL", "SEND_MESSAGES"] } }
[[app.osmium.community.channel]]
id = 51
name = "heading"
category = true
[[app.osmium.community.member]]
id = 2
roles = [500]
nickname = "Bobby"
[[app.osmium.group]]
id = 9
name = "Pair"
members = [1, 2]
"#,
    );
    let checked = read_text(&text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let realm = checked.config.apps[0].osmium.clone().expect("a realm");
    let [given] = &realm.communities[..] else { panic!("not one community: {realm:?}") };
    let town = &given.community;
    assert_eq!((town.id, &*town.name, town.owner, town.everyone), (5, "Town", 1, Permissions::MEMBER));
    assert_eq!(town.roles[&500], Role { name: "Elders".into(), permissions: Permissions::PIN_MESSAGES });
    let (square, heading) = (&town.channels[&50], &town.channels[&51]);
    assert_eq!((square.alias.as_deref(), square.category, heading.category), (Some("plaza"), false, true));
    let view = Permissions::VIEW_CHANNEL;
    assert_eq!(square.overrides[&0], Override { deny: view, allow: Permissions::NONE });
    let allow = view | Permissions::SEND_MESSAGES;
    assert_eq!(square.overrides[&500], Override { deny: Permissions::NONE, allow });
    let bob = &given.members[&2];
    assert_eq!((bob.nickname.as_deref(), bob.roles.contains(&500)), (Some("Bobby"), true));
    assert_eq!((realm.groups[0].id, realm.groups[0].members.len()), (9, 2));
}

#[test]
fn every_mistake_of_a_directory_is_told_with_its_line() {
    let found = mistakes(&realm(
        r#"alias = ""
overrides = { 7 = { deny = ["FLY"] }, x = {} }
[[app.osmium.community.channel]]
id = 50
name = ""
[[app.osmium.community.member]]
id = 3
roles = [500, 501]
[[app.osmium.community]]
id = 5
name = "Again"
owner = 77
everyone = ["view_channel"]
[[app.osmium.community.role]]
id = 0
name = "Nobody"
[[app.osmium.group]]
name = "Pair"
members = [1, 4]
colour = 1
"#,
    ));
    let expected = [
        "23: app.osmium.community.channel.alias: the name is empty",
        r#"24: app.osmium.community.channel.overrides.deny: "FLY" is not a permission"#,
        "24: app.osmium.community.channel.overrides: there is no role 7 in the community, and 0 is everyone",
        "24: app.osmium.community.channel.overrides: there is no role x in the community, and 0 is everyone",
        "26: app.osmium.community.channel.id 50 is given twice, first in line 21",
        "27: app.osmium.community.channel.name: 1 to 256 bytes",
        "29: app.osmium.community.member.id: the file gives no user 3",
        "30: app.osmium.community.member.roles: the file gives no role 501",
        "32: app.osmium.community.id 5 is given twice, first in line 13",
        "34: app.osmium.community.owner: the file gives no user 77",
        r#"35: app.osmium.community.everyone: "view_channel" is not a permission"#,
        "36: app.osmium.community.role.permissions is missing",
        "37: app.osmium.community.role.id: a number from 1 to 9223372036854775807 is needed",
        "39: app.osmium.group.id is missing",
        "41: app.osmium.group.members: the file gives no user 4",
        "42: app.osmium.group.colour is not a setting; known here: id, name, members",
    ];
    assert_eq!(found, expected);
}

#[test]
fn retention_reaches_the_service() {
    let text = "[[app]]\nname = \"a\"\nretention = { age = \"30d\", messages = 1000 }\n[[app]]\nname = \"b\"\n";
    let kept = read_text(text).expect("no mistake").config.service.retention;
    let of = |name: &str| kept[&model::AppId::new(name).expect("a name")];
    let month = std::time::Duration::from_secs(30 * 86_400);
    assert_eq!(of("a"), service::Retention { age: Some(month), messages: Some(1_000) });
    assert_eq!(of("b"), service::Retention::default());
}

/// The example is the built-in configuration with every setting explained: as it stands, and with every default that
/// it shows written out.
#[test]
fn the_example_is_complete_and_true() {
    let example = include_str!("../../../../config.example.toml");
    let (plain, asked) = read(example, Path::new("."), &|_| None, &Overrides::default());
    let (built_in, _) = read(DEFAULT, Path::new("."), &|_| None, &Overrides::default());
    let plain = without_lines(&plain.expect("the example is valid").config);
    assert_eq!(plain, without_lines(&built_in.expect("the built-in configuration is valid").config));

    let shown: Vec<&str> = example.lines().filter_map(setting_of).collect();
    for path in asked {
        let key = path.rsplit('.').next().expect("a key");
        let is_shown = shown.contains(&key) || example.contains(&format!("[{path}]"));
        let is_inside = example.contains(&format!("{key} = ")) && ["age", "messages"].contains(&key);
        assert!(is_shown || is_inside, "{path} is missing in config.example.toml");
    }

    let written: Vec<&str> = example.lines().map(|line| if is_default(line) { &line[2..] } else { line }).collect();
    let (written, _) = read(&written.join("\n"), Path::new("."), &|_| None, &Overrides::default());
    let written = written.expect("every default of the example is valid");
    assert_eq!(without_lines(&written.config), plain, "every default of the example is the default");
}

/// The key that a line of the example sets, or shows.
fn setting_of(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
    key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_').then_some(key)
}

/// Whether a line shows a default, not one choice of several.
fn is_default(line: &str) -> bool {
    const CHOICES: [&str; 9] = [
        "channels",
        "newest",
        "not_older_than",
        "email",
        "password",
        "secondary_certificate",
        "alias",
        "overrides",
        "nickname",
    ];
    let Some(key) = line.strip_prefix("# ").and(setting_of(line)) else { return false };
    !CHOICES.contains(&key) && !key.ends_with("_file") && !key.ends_with("_env")
}

fn without_lines(config: &Config) -> String {
    let text = format!("{config:#?}");
    text.lines().filter(|line| !line.trim_start().starts_with("line: ")).collect::<Vec<_>>().join("\n")
}
