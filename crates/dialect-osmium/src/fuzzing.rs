//! What the fuzz targets of `fuzz/` call: any bytes in, and what reading them promises is held. Not part of the crate's
//! interface.

use crate::{
    frame::{self, Frame},
    wire::ClientMessage,
};
use prost::Message;

/// A client's frame: no protobuf, or one of the three things that a frame can be; and a call that is written anew is read
/// as the same call.
pub fn frame(input: &[u8]) {
    match frame::decode(input) {
        Ok(Frame::Call(id, request)) => {
            let written = ClientMessage { id, request: Some(*request) }.encode_to_vec();
            let Ok(Frame::Call(again, request)) = frame::decode(&written) else { panic!("a call stays a call") };
            assert_eq!(again, id);
            assert_eq!(ClientMessage { id, request: Some(*request) }.encode_to_vec(), written);
        }
        Ok(Frame::Keepalive | Frame::Unknown(_)) | Err(_) => {}
    }
}
