//! How far the index is: a note that lies in each commit, so that documents and place are never apart.

use crate::{Settings, document::FORMAT};
use model::Id;
use serde::{Deserialize, Serialize};

/// How far the index is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Mark {
    format: u32,
    apps: Vec<String>,
    /// The feed was taken in up to here.
    position: u64,
    /// What was stored before is still being read, channel by channel.
    pub walk: Option<Walk>,
}

/// How far the reading of all channels is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Walk {
    /// Apps that are done.
    pub apps_done: usize,
    /// The last channel of the next app that is done, as `document::name_bytes` writes it.
    pub after: Option<Vec<u8>>,
}

impl Mark {
    /// Of an index that has nothing, of a store that goes up to `position`.
    pub fn of_nothing(settings: &Settings, position: Id) -> Mark {
        Mark { format: FORMAT, apps: names(settings), position: position.raw(), walk: Some(Walk::default()) }
    }

    /// Reads what [`Mark::text`] wrote; none for what this program cannot go on with.
    pub fn parse(text: &str, settings: &Settings) -> Option<Mark> {
        let mark: Mark = serde_json::from_str(text).ok()?;
        (mark.format == FORMAT && mark.apps == names(settings)).then_some(mark)
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are always JSON")
    }

    pub fn position(&self) -> Id {
        Id::from_raw(self.position)
    }

    pub fn advance(&mut self, to: Id) {
        self.position = self.position.max(to.raw());
    }
}

fn names(settings: &Settings) -> Vec<String> {
    settings.apps.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::AppId;

    #[test]
    fn a_mark_of_other_apps_or_formats_is_none() {
        let app = |name: &str| AppId::new(name).expect("a valid name");
        let settings = Settings { apps: [app("a"), app("b")].into(), ..Settings::default() };
        let mark = Mark::of_nothing(&settings, Id::from_raw(7));
        assert_eq!(Mark::parse(&mark.text(), &settings), Some(mark.clone()));
        let fewer = Settings { apps: [app("a")].into(), ..Settings::default() };
        assert_eq!(Mark::parse(&mark.text(), &fewer), None);
        let newer = Mark { format: FORMAT + 1, ..mark };
        assert_eq!(Mark::parse(&newer.text(), &settings), None);
        assert_eq!(Mark::parse("{}", &settings), None);
    }
}
