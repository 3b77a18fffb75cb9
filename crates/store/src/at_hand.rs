//! What is known of a message without a look at the table. Whatever happened to a message that is in the tails is there, too:
//! it came later. So what most edits and reactions are about, messages that were said a moment ago, is decided from
//! memory.

use crate::{
    channels::{NameCache, Named},
    content::Content,
    reactions::unique_hash,
    view::View,
    walk::Slot,
};
use model::{AtHand, Channel, ChannelNumber, Effort, Id, Reaction, Result};

impl View {
    /// See [`model::Store::at_hand`].
    pub fn at_hand(
        &self,
        channel: &Channel,
        message: Id,
        reaction: Option<&Reaction>,
        names: &NameCache,
    ) -> Result<Option<AtHand>> {
        let Named::Number(number) = self.number_of(channel, names, Effort::Memory)? else { return Ok(None) };
        for part in self.parts().rev() {
            let found = part.descending(number, message, 1)?;
            let Some(found) = found.first() else { continue };
            let slot = found.slot();
            let Some(last) = self.last_in_tails(number)? else { return Ok(None) };
            if slot.id != message || self.is_removed_in_tails(number, slot) {
                return Ok(None);
            }
            let author = Content::parse(&found.body[found.published.content.clone()])?.author_user();
            let (reaction, reactions) = match reaction {
                Some(reaction) => (self.standing_in_tails(number, reaction), self.reactions_in_tails(number, message)),
                None => (None, 0),
            };
            let (number, Slot { seq, expires_at, .. }) = (ChannelNumber(number), slot);
            return Ok(Some(AtHand { number, last, seq, author, expires_at, reaction, reactions }));
        }
        Ok(None)
    }

    fn is_removed_in_tails(&self, number: u64, slot: Slot) -> bool {
        self.parts().any(|part| part.with_altered(number, |shown| shown.took(slot.seq)).unwrap_or(false))
    }

    fn standing_in_tails(&self, number: u64, reaction: &Reaction) -> Option<Id> {
        let hash = unique_hash(reaction);
        let became =
            |part: crate::tail::Part<'_>| part.with_altered(number, |shown| shown.unique(reaction.message, hash));
        self.parts().rev().find_map(|part| became(part).flatten()).flatten()
    }

    fn reactions_in_tails(&self, number: u64, message: Id) -> u64 {
        let of_part = |part: crate::tail::Part<'_>| part.with_altered(number, |shown| shown.reactions_to(message));
        let made: Vec<Id> = self.parts().filter_map(of_part).flatten().collect();
        made.into_iter().filter(|reaction| !self.is_taken(number, *reaction)).count() as u64
    }
}
