//! `GET channels/{channel}/changes`: what happened to the messages of a channel after a position, in one order.

use crate::{
    Native,
    call::{Answer, Call},
    history::position,
    json,
    settings::DEFAULT_LIMIT,
    wire::{self, change::push_change},
};
use model::{Change, ChangesPage, Channel, Id};

impl Native {
    pub(crate) async fn changes(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let (caller, mut params) = call.params()?;
        let after = position(&mut params, "after")?.map_or(Id::MIN, |after| after.last());
        let most = u64::from(self.settings.page_messages);
        let limit = params.take_number("limit", 1..=most, DEFAULT_LIMIT.min(most))? as u32;
        params.finish(&["after", "limit"])?;
        let page = self.channels.changes(caller, channel, after, limit).await?;
        Ok(json(render(&page, after).into()))
    }
}

/// A feed that does not reach back to the position says `reload`: read the channel again, then go on from `examined`.
fn render(page: &ChangesPage, after: Id) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + 256 * page.changes.len());
    out.extend_from_slice(b"{\"changes\":[");
    let mut first = true;
    for change in &page.changes {
        let Change::Channel(change) = &**change else { continue };
        let start = out.len();
        if !first {
            out.push(b',');
        }
        match push_change(&mut out, change, None) {
            true => first = false,
            false => out.truncate(start),
        }
    }
    let (examined, reload) = (page.examined, page.starts_after > after);
    wire::push(&mut out, format_args!("],\"examined\":\"{examined}\",\"more\":{},\"reload\":{reload}}}", page.more));
    out
}
