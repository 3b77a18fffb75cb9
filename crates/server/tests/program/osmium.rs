//! Osmium in the whole program: a directory that the configuration alone gives, and one client's garbage beside another.

use crate::{connection::Connection, program::Program};
use dialect_osmium::wire::{
    ChannelRef, ChatRef, GetHistory, GroupRef, SelfRef, SendMessage, chat_ref::Ref, client_message::Request, rpc_result,
};
use reqwest::{Method, StatusCode};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

/// Ann, Bob and Eve.
const USERS: &str = r#"
[[app]]
name = "demo"
[[app.key]]
secret = "demo-admin"
may = ["admin"]
[app.osmium]
[[app.osmium.user]]
id = 1001
name = "ann"
token = "osm-ann"
[[app.osmium.user]]
id = 1002
name = "bob"
token = "osm-bob"
[[app.osmium.user]]
id = 1003
name = "eve"
token = "osm-eve"
"#;

/// A community of Ann's in which Bob is a member; its second channel is for a role that he does not hold.
const TOWN: &str = r#"
[[app.osmium.community]]
id = 5
name = "Town"
owner = 1001
[[app.osmium.community.role]]
id = 500
name = "Elders"
permissions = ["PIN_MESSAGES"]
[[app.osmium.community.channel]]
id = 50
name = "square"
[[app.osmium.community.channel]]
id = 51
name = "council"
overrides = { 0 = { deny = ["VIEW_CHANNEL"] }, 500 = { allow = ["VIEW_CHANNEL"] } }
[[app.osmium.community.member]]
id = 1002
[[app.osmium.group]]
id = 9
name = "Pair"
members = [1001, 1002]
"#;

fn start(folder: &Path, config: &str) -> Program {
    let file = folder.join("scrollback.toml");
    std::fs::write(&file, config).expect("a file");
    Program::start_with(&folder.join("data"), &["--config", file.to_str().expect("a path in UTF-8")])
}

fn channel(channel_id: u64) -> Ref {
    Ref::Channel(ChannelRef { community_id: 5, channel_id })
}

fn chat(chat: Ref) -> Option<ChatRef> {
    Some(ChatRef { r#ref: Some(chat) })
}

async fn open(program: &Program, name: &str) -> Connection {
    Connection::open(program.address, &format!("osm-{name}"), false).await.expect("a connection")
}

/// Sends; the number of the error if it is refused.
async fn send(connection: &mut Connection, to: Ref, text: &str) -> Result<(), u32> {
    let call = SendMessage { chat_ref: chat(to), message: text.into(), ..Default::default() };
    match connection.call(Request::MessagesSendMessage(call)).await.expect("an answer") {
        Some(rpc_result::Result::SentMessage(_)) => Ok(()),
        Some(rpc_result::Result::Error(error)) => Err(error.error_code),
        other => panic!("neither sent nor refused: {other:?}"),
    }
}

/// The texts of a chat; the number of the error if they are refused.
async fn texts(connection: &mut Connection, of: Ref) -> Result<Vec<String>, u32> {
    let call = GetHistory { chat_ref: chat(of), ..Default::default() };
    match connection.call(Request::MessagesGetHistory(call)).await.expect("an answer") {
        Some(rpc_result::Result::Messages(page)) => {
            Ok(page.messages.into_iter().map(|message| message.message).collect())
        }
        Some(rpc_result::Result::Error(error)) => Err(error.error_code),
        other => panic!("neither shown nor refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_community_that_only_the_configuration_names_is_open_to_its_members() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = start(folder.path(), &format!("{USERS}{TOWN}"));
    let (mut ann, mut bob, mut eve) =
        (open(&program, "ann").await, open(&program, "bob").await, open(&program, "eve").await);
    assert_eq!(send(&mut bob, channel(50), "hello").await, Ok(()));
    assert_eq!(texts(&mut ann, channel(50)).await, Ok(vec!["hello".into()]));
    assert_eq!(texts(&mut bob, channel(50)).await, Ok(vec!["hello".into()]));
    assert_eq!((send(&mut eve, channel(50), "x").await, texts(&mut eve, channel(50)).await), (Err(404), Err(404)));
    assert_eq!(texts(&mut bob, channel(51)).await, Err(403), "for another role");
    let group = || Ref::Group(GroupRef { group_id: 9 });
    assert_eq!(send(&mut bob, group(), "we two").await, Ok(()));
    assert_eq!((texts(&mut ann, group()).await, texts(&mut eve, group()).await), (Ok(vec!["we two".into()]), Err(404)));

    let put = async |program: &Program, path: &str, body: &'static str| {
        let request = program.request(Method::PUT, &format!("osmium/{path}")).body(body);
        request.send().await.expect("an answer").status()
    };
    for (path, body) in [
        ("communities/5", r#"{"name":"Mine","owner":1003}"#),
        ("communities/5/channels/52", r#"{"name":"x"}"#),
        ("communities/5/roles/500", r#"{"name":"x","permissions":[]}"#),
        ("communities/5/members/1002", r#"{"roles":[500]}"#),
        ("groups/9", r#"{"name":"x","members":[1003]}"#),
        ("groups/9/members/1003", ""),
    ] {
        assert_eq!(put(&program, path, body).await, StatusCode::CONFLICT, "{path}: the configuration alone changes it");
    }
    assert_eq!(put(&program, "communities/5/members/1003", "{}").await, StatusCode::OK, "others may join");
    assert_eq!(texts(&mut eve, channel(50)).await, Ok(vec!["hello".into()]));

    program.kill();
    let program = start(folder.path(), USERS);
    let mut bob = open(&program, "bob").await;
    assert_eq!((texts(&mut bob, channel(50)).await, texts(&mut bob, group()).await), (Err(404), Err(404)), "gone");
    program.kill();
    let program = start(folder.path(), &format!("{USERS}{TOWN}"));
    let (mut bob, mut eve) = (open(&program, "bob").await, open(&program, "eve").await);
    assert_eq!(texts(&mut bob, channel(50)).await, Ok(vec!["hello".into()]), "there again");
    assert_eq!(texts(&mut eve, channel(50)).await, Ok(vec!["hello".into()]), "who joined is kept");
}

/// Sends one frame on a connection of its own that was never authorized, and reads to its end: the code of the close.
fn close_code(server: SocketAddr, head: &[u8], payload: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(crate::program::PATIENCE)).expect("a timeout");
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("the head of the answer");
        answer.push(byte[0]);
    }
    // A mask of zeros.
    let frame = [head, &[0; 4], payload].concat();
    stream.write_all(&frame).expect("it is sent");
    let mut close = [0; 4];
    stream.read_exact(&mut close).expect("a close");
    assert_eq!(close[0], 0x88, "a close");
    u16::from_be_bytes([close[2], close[3]])
}

#[tokio::test]
async fn the_neighbour_of_garbage_notices_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = start(folder.path(), USERS);
    let mut bob = open(&program, "bob").await;
    let saved = || Ref::Self_(SelfRef {});
    let huge = vec![0; (4 << 20) + 1];
    let mut huge_head = vec![0x82, 0xff];
    huge_head.extend((huge.len() as u64).to_be_bytes());
    let deep = [0xfb, 0x3f].repeat(60);
    let garbage: [(&[u8], &[u8], u16); 5] = [
        (&[0x81, 0x84], b"text", 1003),
        (&[0x82, 0x81], &[0x08], 1007),
        (&[0x82, 0x8c], &[0xff; 12], 1007),
        (&[0x82, 0x80 | 120], &deep, 1007),
        (&huge_head, &huge, 1009),
    ];
    for (index, (head, payload, code)) in garbage.into_iter().enumerate() {
        let (server, head, payload) = (program.address, head.to_vec(), payload.to_vec());
        let sending = tokio::task::spawn_blocking(move || close_code(server, &head, &payload));
        assert_eq!(send(&mut bob, saved(), "note").await, Ok(()), "in between");
        assert_eq!(sending.await.expect("it ends"), code, "frame {index}");
        assert_eq!(texts(&mut bob, saved()).await.map(|texts| texts.len()), Ok(index + 1), "on the same connection");
    }
}
