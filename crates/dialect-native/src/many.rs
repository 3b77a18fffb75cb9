//! `POST read` and `POST counts`: many channels in one request, each with its own question, its own cursor and its own
//! error, within one budget of bytes and time. `GET channels/{channel}/count` is one of them.

use crate::{
    Native,
    call::{Answer, Call},
    error::Problem,
    fields::{Fields, text},
    history::{self, bounds},
    json,
    json::push_string,
    params::Params,
    wire,
};
use bytes::Bytes;
use model::{Channel, ChannelName, Span};
use serde_json::value::RawValue;
use service::{Budget, Caller, Many};

/// A question of a request: its channel as it was named, if it was, and what is asked or what is wrong with it.
struct Asked<T> {
    name: Option<String>,
    question: Result<T, Problem>,
}

impl Native {
    /// One count of a channel, over the span that the bounds name.
    pub(crate) async fn count(&self, call: Call<'_>, channel: &Channel) -> Answer {
        let (caller, params) = call.params()?;
        let span = span(params)?;
        let count = self.channels.count(caller, channel, span).await?;
        Ok(json(format!("{{\"count\":{count}}}").into()))
    }

    /// Pages: each entry has a `channel` and the words of a page's query.
    pub(crate) async fn read(&self, call: Call<'_>) -> Answer {
        let (caller, body) = call.body().await?;
        let page_messages = self.settings.page_messages;
        let (names, asked, wrong) = part(self.questions(&body, |params| history::parse(params, page_messages))?);
        let questions = asked.iter().map(|(name, query)| (full(caller, name), query.clone())).collect();
        let budget = Budget { bytes: self.settings.many_bytes, time: self.settings.many_time };
        let answers = self.channels.read_many(caller, questions, budget).await?;
        let rendered = answers.into_iter().zip(&asked).map(|(answer, (_, query))| match answer {
            Many::Answered(Ok(history)) => Entry::Answer(members(&wire::page(&history, query))),
            Many::Answered(Err(error)) => Entry::Error(error.into()),
            Many::Postponed(_) => Entry::Postponed,
        });
        Ok(json(render(names, rendered, wrong).into()))
    }

    /// Counts: each entry has a `channel` and bounds.
    pub(crate) async fn counts(&self, call: Call<'_>) -> Answer {
        let (caller, body) = call.body().await?;
        let (names, asked, wrong) = part(self.questions(&body, span)?);
        let questions = asked.iter().map(|(name, span)| (full(caller, name), *span)).collect();
        let answers = self.channels.count_many(caller, questions, self.settings.many_time).await?;
        let rendered = answers.into_iter().map(|answer| match answer {
            Many::Answered(Ok(count)) => Entry::Answer(format!("\"count\":{count}").into()),
            Many::Answered(Err(error)) => Entry::Error(error.into()),
            Many::Postponed(_) => Entry::Postponed,
        });
        Ok(json(render(names, rendered, wrong).into()))
    }

    fn questions<T>(
        &self,
        body: &Bytes,
        parse: impl Fn(Params<'_>) -> Result<T, Problem>,
    ) -> Result<Vec<Asked<(ChannelName, T)>>, Problem> {
        let mut fields = Fields::parse("body", text(body)?)?;
        let list = fields.list("channels", self.settings.many_channels)?;
        let list = list.ok_or_else(|| Problem::invalid("channels", "missing field"))?;
        fields.finish()?;
        Ok(list.into_iter().map(|raw| asked(raw, &parse)).collect())
    }
}

fn span(mut params: Params<'_>) -> Result<Span, Problem> {
    let (_, span) = bounds(&mut params)?;
    params.finish(&["after", "since", "before", "upto"])?;
    Ok(span)
}

fn asked<T>(raw: &RawValue, parse: impl Fn(Params<'_>) -> Result<T, Problem>) -> Asked<(ChannelName, T)> {
    let mut name = None;
    let mut read = || {
        let mut fields = Fields::parse("channels", raw.get())?;
        let given: String = fields.required("channel")?;
        let channel = ChannelName::named(&given);
        name = Some(given);
        Ok((channel?, parse(Params::of_fields(fields)?)?))
    };
    let question = read();
    Asked { name, question }
}

fn full(caller: &Caller, name: &ChannelName) -> Channel {
    Channel { app: caller.app.clone(), name: name.clone() }
}

/// The names in the order asked, what can be asked of the service, and in the places of the others what is wrong.
type Parted<T> = (Vec<Option<String>>, Vec<(ChannelName, T)>, Vec<Option<Problem>>);

fn part<T>(asked: Vec<Asked<(ChannelName, T)>>) -> Parted<T> {
    let (mut names, mut good, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for Asked { name, question } in asked {
        names.push(name);
        match question {
            Ok(question) => {
                good.push(question);
                wrong.push(None);
            }
            Err(problem) => wrong.push(Some(problem)),
        }
    }
    (names, good, wrong)
}

/// What stands beside a channel's name in the answer.
enum Entry {
    /// Members of the object, as JSON text.
    Answer(Bytes),
    Error(Problem),
    /// The budget was spent: ask this again.
    Postponed,
}

fn render(
    names: Vec<Option<String>>,
    mut answers: impl Iterator<Item = Entry>,
    wrong: Vec<Option<Problem>>,
) -> Vec<u8> {
    let mut out = b"{\"channels\":[".to_vec();
    for (index, (name, problem)) in names.into_iter().zip(wrong).enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"channel\":" } else { b"{\"channel\":" });
        match name {
            Some(name) => push_string(&mut out, &name),
            None => out.extend_from_slice(b"null"),
        }
        let entry = match problem {
            Some(problem) => Entry::Error(problem),
            None => answers.next().unwrap_or(Entry::Postponed),
        };
        out.push(b',');
        match entry {
            Entry::Answer(members) => out.extend_from_slice(&members),
            Entry::Error(problem) => wire::push(&mut out, format_args!("\"error\":{}", problem.to_json())),
            Entry::Postponed => out.extend_from_slice(b"\"postponed\":true"),
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// The members of an object's text, without its braces.
fn members(object: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&object[1..object.len().saturating_sub(1).max(1)])
}
