//! One binary frame in, one request out; one answer, one frame (`protocols/osmium.md` §1, §2). What a request means is
//! decided elsewhere.

use crate::wire::{
    ClientMessage, RpcError, RpcResult, ServerMessage, Update, client_message, rpc_result, server_message,
};
use prost::{
    DecodeError, Message,
    encoding::{WireType, decode_key, decode_varint, skip_field},
};

/// The field number of `ClientMessage.id`.
const ID: u32 = 1;

/// What a client's frame is.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// Nothing but an id: an idle client's sign of life. It gets no answer.
    Keepalive,
    /// A call that this server knows. Boxed: calls are far larger than the other cases.
    Call(u32, Box<client_message::Request>),
    /// A call of a number that this server does not know; it gets error 501.
    Unknown(u32),
}

/// Reads a frame. An error means that the bytes are no protobuf message: the connection closes with 1007.
///
/// Unknown calls and keepalives look the same once decoded, because unknown fields are dropped, so they are told apart on
/// the raw bytes.
pub fn decode(frame: &[u8]) -> Result<Frame, DecodeError> {
    let message = ClientMessage::decode(frame)?;
    Ok(match message.request {
        Some(request) => Frame::Call(message.id, Box::new(request)),
        None if has_other_field(frame)? => Frame::Unknown(message.id),
        None => Frame::Keepalive,
    })
}

/// Whether there is a top-level field besides the id.
fn has_other_field(mut frame: &[u8]) -> Result<bool, DecodeError> {
    while !frame.is_empty() {
        let (number, wire_type) = decode_key(&mut frame)?;
        if number != ID {
            return Ok(true);
        }
        match wire_type {
            WireType::Varint => decode_varint(&mut frame).map(drop)?,
            _ => skip_field(wire_type, number, &mut frame, Default::default())?,
        }
    }
    Ok(false)
}

/// The answer to the call `req_id`, as the connection's message number `id`. A void success is `None`; the result itself
/// is always on the wire, even when it is empty (§2).
pub fn encode_result(id: u32, req_id: u32, result: Option<rpc_result::Result>) -> Vec<u8> {
    let result = RpcResult { req_id, trace_id: None, result };
    ServerMessage { id, body: Some(server_message::Body::Result(result)) }.encode_to_vec()
}

/// The refusal of the call `req_id`. `trace_id` finds it again in the log.
pub fn encode_error(id: u32, req_id: u32, error: RpcError, trace_id: Option<String>) -> Vec<u8> {
    let result = RpcResult { req_id, trace_id, result: Some(rpc_result::Result::Error(error)) };
    ServerMessage { id, body: Some(server_message::Body::Result(result)) }.encode_to_vec()
}

/// An update as the connection's message number `id`.
pub fn encode_update(id: u32, update: Update) -> Vec<u8> {
    ServerMessage { id, body: Some(server_message::Body::Update(update)) }.encode_to_vec()
}
