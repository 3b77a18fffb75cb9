//! `GET channels`: the channels of an app, in byte order of their names.

use crate::{
    Native,
    call::{Answer, Call},
    json,
    json::push_string,
    settings::DEFAULT_LIMIT,
    settings::LISTED_CHANNELS,
    wire,
};
use model::ChannelEntry;

impl Native {
    pub(crate) async fn list_channels(&self, call: Call<'_>) -> Answer {
        let (caller, mut params) = call.params()?;
        let prefix = params.take("prefix")?.unwrap_or_default();
        let after = params.take_channel("after")?;
        let limit = params.take_number("limit", 1..=LISTED_CHANNELS, DEFAULT_LIMIT)? as u32;
        params.finish(&["prefix", "after", "limit"])?;
        let entries = self.channels.list_channels(caller, &prefix, after.as_ref(), limit).await?;
        Ok(json(render(&entries, limit).into()))
    }
}

/// `next` is the name to give as `after`, when there may be more.
fn render(entries: &[ChannelEntry], limit: u32) -> Vec<u8> {
    let named = entries.iter().filter_map(|entry| Some((entry.channel.name.as_named()?, &entry.head)));
    let mut out = b"{\"channels\":[".to_vec();
    let mut last = None;
    for (index, (name, head)) in named.enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        push_string(&mut out, name);
        wire::push_position(&mut out, "floor", head.floor);
        wire::push_position(&mut out, "head", head.last);
        out.push(b'}');
        last = Some(name);
    }
    out.extend_from_slice(b"],\"next\":");
    match last.filter(|_| entries.len() >= limit as usize) {
        Some(name) => push_string(&mut out, name),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}
