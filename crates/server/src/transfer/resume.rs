//! Going on with an export that was cut short: behind the last message that is whole in the file, with all that belongs to it.

use super::{
    limits::LINE_BYTES,
    line::{Header, Line},
};
use anyhow::{Context, bail};
use model::{ChannelName, Id};
use std::io::{BufRead, Read};

/// Where an export begins.
pub(super) enum Start {
    /// With the header.
    Beginning,
    /// In a channel: with its own line, or behind an id of it.
    Channel { channel: ChannelName, after: Option<Id>, messages: u64 },
}

/// What a file has of an export.
pub(super) struct Found {
    pub header: Header,
    pub start: Start,
    /// The length up to which it is good.
    pub length: u64,
    pub is_complete: bool,
}

/// How the lines begin that can be gone on from. `line` is the first field of every line.
const CHANNEL: &[u8] = br#"{"line":"channel","#;
const MESSAGE: &[u8] = br#"{"line":"message","#;
const GONE: &[u8] = br#"{"line":"gone","#;
const END: &[u8] = br#"{"line":"end","#;

/// Reads a file; `None` if it has not even a header.
pub(super) fn find(file: &mut dyn BufRead) -> anyhow::Result<Option<Found>> {
    let (mut line, mut offset, mut messages) = (Vec::new(), 0_u64, 0_u64);
    let mut header = None;
    let mut last: Option<(Vec<u8>, u64, u64)> = None;
    loop {
        line.clear();
        let bytes = file.take(LINE_BYTES as u64 + 1).read_until(b'\n', &mut line).context("reading the export")?;
        if line.pop_if(|last| *last == b'\n').is_none() {
            break;
        }
        if header.is_none() {
            let Ok(Line::Header(found)) = Line::parse(&line) else { bail!("the file is no export: it has no header") };
            header = Some(found);
        }
        if line.starts_with(END) {
            let header = header.context("an end without a header")?;
            return Ok(Some(Found {
                header,
                start: Start::Beginning,
                length: offset + bytes as u64,
                is_complete: true,
            }));
        }
        let is_message = line.starts_with(MESSAGE);
        if is_message || line.starts_with(CHANNEL) || line.starts_with(GONE) {
            last = Some((line.clone(), offset, messages));
            messages += u64::from(is_message);
        }
        offset += bytes as u64;
    }
    let Some(header) = header else { return Ok(None) };
    let (start, length) = match last {
        None => (Start::Beginning, 0),
        // Edits and reactions of the last message may be missing, so it is written again.
        Some((line, offset, messages)) => (start_at(&line, messages)?, offset),
    };
    Ok(Some(Found { header, start, length, is_complete: false }))
}

fn start_at(line: &[u8], messages: u64) -> anyhow::Result<Start> {
    let line = Line::parse(line).map_err(|reason| anyhow::anyhow!("the file is damaged: {reason}"))?;
    let (channel, after) = match line {
        Line::Channel { channel, .. } => (channel, None),
        Line::Message { channel, message } => (channel, Some(message.id.previous())),
        Line::Gone { channel, messages } => (channel, messages.first().map(|(position, _)| position.id.previous())),
        other => bail!("the file is damaged: {other:?} is not what it seemed"),
    };
    Ok(Start::Channel { channel, after, messages })
}
