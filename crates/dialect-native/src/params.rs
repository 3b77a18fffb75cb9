//! The query of a request: each parameter known, well formed and given once.

use crate::{error::Problem, fields::Fields, settings::SHOWN_CHARACTERS};
use model::ChannelName;
use percent_encoding::percent_decode_str;
use std::{borrow::Cow, ops::RangeInclusive};

/// The parameters of one request. Take what is known, then [`Params::finish`].
#[derive(Debug)]
pub(crate) struct Params<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Params<'a> {
    pub fn parse(query: Option<&'a str>) -> Result<Params<'a>, Problem> {
        let pairs = pairs(query).map(|(name, value)| match (decode(name), decode(value)) {
            (Some(name), Some(value)) => Ok((name, value)),
            _ => Err(Problem::invalid("query", "the percent-encoded bytes are not UTF-8")),
        });
        Ok(Params(pairs.collect::<Result<_, _>>()?))
    }

    /// The members of a JSON object as parameters.
    pub fn of_fields(fields: Fields<'_>) -> Result<Params<'static>, Problem> {
        let pairs = fields.into_parameters()?.into_iter();
        Ok(Params(pairs.map(|(name, value)| (Cow::Owned(name), Cow::Owned(value))).collect()))
    }

    /// A parameter that says yes or no.
    pub fn take_flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.take(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Problem::invalid(name, format!("{} is neither true nor false", shown(other)))),
        }
    }

    /// The value of a parameter that may be given once.
    pub fn take(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Problem> {
        let mut values = self.take_all(name);
        match values.len() {
            0 => Ok(None),
            1 => Ok(values.pop()),
            count => Err(Problem::invalid(name, format!("given {count} times, once is allowed"))),
        }
    }

    /// The values of a parameter that may be given several times.
    pub fn take_all(&mut self, name: &str) -> Vec<Cow<'a, str>> {
        self.0.extract_if(.., |(given, _)| given == name).map(|(_, value)| value).collect()
    }

    /// The name of a channel.
    pub fn take_channel(&mut self, name: &str) -> Result<Option<ChannelName>, Problem> {
        let channel = self.take(name)?.map(|text| ChannelName::named(&text)).transpose();
        channel.map_err(|error| Problem::invalid(name, error.message))
    }

    /// A whole number inside a range.
    pub fn take_number(&mut self, name: &str, range: RangeInclusive<u64>, default: u64) -> Result<u64, Problem> {
        let Some(text) = self.take(name)? else { return Ok(default) };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && range.contains(number));
        number.ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            Problem::invalid(name, format!("{} is not a number from {low} to {high}", shown(&text)))
        })
    }

    /// Parameters that nobody knows are mistakes: a misspelt one must not be ignored.
    pub fn finish(self, known: &[&str]) -> Result<(), Problem> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let text = format!("{} is not a parameter here; known: {}", shown(name), known.join(", "));
                Err(Problem::invalid("query", text))
            }
        }
    }
}

/// The first value of a parameter, if it is well formed.
pub(crate) fn first<'a>(query: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    pairs(query).find(|(given, _)| *given == name).and_then(|(_, value)| decode(value))
}

/// A value as it is shown back in an error: in quotes, cut if it is long.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Undoes the encoding of forms, in which a plus is a space.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return percent_decode_str(text).decode_utf8().ok();
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_given_once() {
        let mut params = Params::parse(Some("a=1&b=x%20y+z&c=1&c=2&d")).expect("well formed");
        assert_eq!(params.take("b").expect("once").as_deref(), Some("x y z"));
        assert_eq!(params.take("d").expect("once").as_deref(), Some(""));
        assert!(params.take("c").is_err());
        assert_eq!(params.take("missing").expect("not given"), None);
        assert!(params.finish(&["a"]).is_err(), "a was not taken");
        assert!(Params::parse(Some("a=%ff")).is_err());
    }

    #[test]
    fn numbers_are_digits_inside_their_range() {
        let number = |text: &str| {
            let query = format!("limit={text}");
            Params::parse(Some(&query)).expect("well formed").take_number("limit", 1..=1000, 100).map_err(|p| p.status)
        };
        assert_eq!(number("1000"), Ok(1000));
        for bad in ["0", "-1", "1001", "9223372036854775808", "ten", "", "+5", "1.0", "0x10"] {
            assert!(number(bad).is_err(), "{bad:?}");
        }
    }
}
