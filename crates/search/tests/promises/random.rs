//! Random publishing, editing, removing and restarting, held against a plain map of texts.

use crate::house::House;
use model::{Id, Message, Position};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use testkit::channel;

const WORDS: [&str; 6] = ["alpha", "alphabet", "beta", "Gamma", "東京", "東京都"];
const ROOMS: [&str; 2] = ["room", "hall"];

#[derive(Clone, Debug)]
enum Step {
    Publish(usize, Vec<usize>),
    Edit(usize, Vec<usize>),
    Delete(usize),
    Floor(usize),
    Restart,
    ForgetFeed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let words = || prop::collection::vec(0..WORDS.len(), 1..4);
    let step = prop_oneof![
        6 => (0..ROOMS.len(), words()).prop_map(|(room, words)| Step::Publish(room, words)),
        3 => (any::<usize>(), words()).prop_map(|(at, words)| Step::Edit(at, words)),
        3 => any::<usize>().prop_map(Step::Delete),
        1 => any::<usize>().prop_map(Step::Floor),
        1 => Just(Step::Restart),
        1 => Just(Step::ForgetFeed),
    ];
    prop::collection::vec(step, 1..25)
}

/// What is there: the room and the text of each message.
type Texts = BTreeMap<Id, (usize, String, Arc<Message>)>;

fn text(words: &[usize]) -> String {
    words.iter().map(|at| WORDS[*at]).collect::<Vec<_>>().join(" ")
}

fn pick(texts: &Texts, at: usize) -> Option<(Id, usize, Arc<Message>)> {
    let (id, (room, _, message)) = texts.iter().nth(at.checked_rem(texts.len())?)?;
    Some((*id, *room, message.clone()))
}

fn take(house: &mut House, texts: &mut Texts, step: Step) {
    match step {
        Step::Publish(room, words) => {
            let message = house.publish(ROOMS[room], &text(&words));
            texts.insert(message.id, (room, text(&words), message));
        }
        Step::Edit(at, words) => {
            let Some((id, room, message)) = pick(texts, at) else { return };
            house.edit(ROOMS[room], &message, &text(&words));
            texts.insert(id, (room, text(&words), message));
        }
        Step::Delete(at) => {
            let Some((id, room, message)) = pick(texts, at) else { return };
            house.delete(ROOMS[room], &[message]);
            texts.remove(&id);
        }
        Step::Floor(at) => {
            let Some((id, room, message)) = pick(texts, at) else { return };
            house.builder.floor(&channel(ROOMS[room]), Position { id, seq: message.seq });
            house.apply();
            texts.retain(|other, (of, ..)| *of != room || *other > id);
        }
        Step::Restart => house.reopen(),
        Step::ForgetFeed => {
            house.store.faults().forget_feed(house.newest());
            house.reopen();
        }
    }
}

/// Who has a word that is `word`, or begins so; characters anywhere.
fn expected(texts: &Texts, word: &str) -> Vec<Id> {
    let has = |text: &str| match word.is_ascii() {
        true => text.split(' ').any(|own| own.to_lowercase().starts_with(word)),
        false => text.contains(word),
    };
    texts.iter().filter(|(_, (_, text, _))| has(text)).map(|(id, _)| *id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn the_index_has_what_the_store_has(steps in steps()) {
        let (mut house, mut texts) = (House::new(), Texts::new());
        for (at, step) in steps.into_iter().enumerate() {
            take(&mut house, &mut texts, step);
            // Sometimes several changes are taken in at once.
            if at % 3 == 0 {
                prop_assert_eq!(house.found("alpha"), expected(&texts, "alpha"));
            }
        }
        for word in ["alpha", "alphabet", "beta", "gam", "東京", "京都"] {
            prop_assert_eq!(house.found(word), expected(&texts, word), "{}", word);
        }
        prop_assert_eq!(house.index.status().documents, texts.len() as u64);
    }
}
