//! Sending to users and channels (`protocols/agora-rtm.md` §4). Nobody is connected through this dialect, so no receiver
//! acknowledges anything: who waits for that is told that the receiver is offline, and finds the message in history.

use crate::{
    auth::Identity,
    convert,
    dialect::Call,
    error::{Refusal, parameter},
    limits, query,
    wire::{Reply, Sent},
};
use model::{Channel, ChannelName, Result};
use serde_json::{Map, Value};
use service::Draft;

/// Sends to a user.
pub async fn to_user(call: &Call<'_>, sender: &str, body: &[u8]) -> Result<Reply, Refusal> {
    check_sender(call, sender)?;
    let waits = waits_for_ack(call.query)?;
    let message = Message::of(body)?;
    let recipient = message.id("destination")?;
    message.flag("enable_offline_messaging")?;
    let draft = Draft {
        author: Some(convert::chat_user(sender, call.is_verified())?),
        recipient: Some(convert::chat_user(&recipient, false)?),
        ..message.draft()?
    };
    let id = publish(call, convert::chat(sender, &recipient), draft).await?;
    Ok(call.success(Sent { code: if waits { "message_offline" } else { "message_sent" }, id }))
}

/// Sends to a channel.
pub async fn to_channel(call: &Call<'_>, sender: &str, body: &[u8]) -> Result<Reply, Refusal> {
    check_sender(call, sender)?;
    let message = Message::of(body)?;
    let channel = ChannelName::named(&message.id("channel_name")?)?;
    let draft = Draft { author: Some(convert::user(sender, call.is_verified())?), ..message.draft()? };
    let id = publish(call, channel, draft).await?;
    Ok(call.success(Sent { code: "message_sent", id }))
}

async fn publish(call: &Call<'_>, name: ChannelName, draft: Draft) -> Result<String> {
    let channel = Channel { app: call.project.settings.app.clone(), name };
    let published = call.channels.publish(&call.caller(), &channel, draft).await?;
    Ok(published.id.to_string())
}

/// Whoever shows a token sends as its user only. In the path an id neither begins nor ends with a blank.
fn check_sender(call: &Call<'_>, sender: &str) -> Result<(), Refusal> {
    if matches!(&call.identity, Identity::User(user) if user != sender) {
        return Err(Refusal::OtherSender);
    }
    if sender.starts_with(' ') || sender.ends_with(' ') {
        return Err(parameter("user_id: the first and the last character must not be blank"));
    }
    convert::check_id("user_id", sender)
}

/// One caller writes `1`, or nothing, for the flag.
fn waits_for_ack(parameters: &str) -> Result<bool, Refusal> {
    match query::value(parameters, "wait_for_ack")?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(parameter("wait_for_ack must be true or false")),
    }
}

/// The body of a message.
pub struct Message(Map<String, Value>);

impl Message {
    /// Reads it.
    pub fn of(body: &[u8]) -> Result<Message, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Message(fields)),
            Ok(_) => Err(parameter("the body is not a JSON object")),
            Err(_) => Err(parameter("the body is not JSON")),
        }
    }

    fn text(&self, name: &str) -> Result<&str, Refusal> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text),
            None | Some(Value::Null) => Err(parameter(format!("{name} is required"))),
            Some(_) => Err(parameter(format!("{name} must be a string"))),
        }
    }

    /// A user or a channel, as §4 spells them.
    pub fn id(&self, name: &str) -> Result<String, Refusal> {
        let id = self.text(name)?;
        convert::check_id(name, id)?;
        Ok(id.to_owned())
    }

    /// Whether something is asked for.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(parameter(format!("{name} must be true or false"))),
        }
    }

    /// A message is kept only if its sender asks for it (§3).
    pub fn draft(&self) -> Result<Draft, Refusal> {
        let payload = self.text("payload")?;
        if !(1..=limits::PAYLOAD_BYTES).contains(&payload.len()) {
            return Err(parameter(format!("payload: 1 to {} bytes of UTF-8", limits::PAYLOAD_BYTES)));
        }
        let store = self.flag("enable_historical_messaging")?;
        Ok(Draft { store, ..Draft::new(convert::payload(payload.to_owned())) })
    }
}
