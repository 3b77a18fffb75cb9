//! The four selections that have a quarter of the messages, in the words of Agora's callers.

use crate::data;
use jiff::{Timestamp, tz::TimeZone};
use model::Id;
use serde_json::json;

/// A selection.
pub struct Question {
    pub name: &'static str,
    source: &'static str,
    destination: &'static str,
}

/// All of them.
pub const ALL: [Question; 4] = [
    Question { name: "author", source: data::AUTHOR, destination: "" },
    Question { name: "recipient", source: "", destination: data::RECIPIENT },
    Question { name: "pair", source: data::FROM, destination: data::TO },
    Question { name: "channel", source: "", destination: data::CHANNEL },
];

impl Question {
    /// The body of a query for a page of 100.
    pub fn query(&self, offset: u64) -> String {
        let filter = json!({
            "source": self.source, "destination": self.destination,
            "start_time": "2020-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z",
        });
        json!({"filter": filter, "offset": offset, "limit": 100, "order": "asc"}).to_string()
    }

    /// The parameters of a count over thirty days in the middle.
    pub fn month(&self) -> String {
        let (source, destination, span) = (self.source, self.destination, data::month());
        let (start, end) = (time(span.after), time(span.upto));
        format!("source={source}&destination={destination}&start_time={start}&end_time={end}")
    }
}

fn time(id: Id) -> String {
    let time = Timestamp::from_millisecond(id.unix_ms() as i64).expect("a time of today");
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
