//! `scrollback export` and `scrollback import`: files, folders, progress, and what is said about it.

use super::{
    check::Check,
    export::export as write_lines,
    import::{Import, Imported},
    limits::{BATCHES, FINDINGS_TOLD},
    line::{Header, Line},
    lines::Lines,
    resume::{self, Start},
};
use crate::{
    cli::{ExportArguments, ImportArguments},
    clock::SystemClock,
    control,
    progress::{Progress, Unit},
    searching,
    storage::{Storage, StorageOptions},
};
use anyhow::{Context, bail, ensure};
use indicatif::HumanCount;
use model::{AppId, ChannelName, Clock, Id, Settled, TICKS_PER_MS};
use std::{
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, Seek, SeekFrom, Write},
    path::Path,
    time::Instant,
};
use store_disk::captured;

/// Writes the history of an app as lines of JSON.
pub fn export(arguments: &ExportArguments) -> anyhow::Result<()> {
    ensure!(arguments.data.is_dir(), "there is no data folder {}", arguments.data.display());
    let began = Instant::now();
    let app = AppId::new(&arguments.app)?;
    let channels = arguments.channels.iter().map(|name| ChannelName::named(name)).collect::<Result<Vec<_>, _>>()?;
    let after = arguments.from.map_or(Id::MIN, |from| Id::last_before(ticks(from)));
    let before = arguments.to.map(|to| Id::last_before(ticks(to)));
    let wanted = |upto: Id| Header {
        app: app.clone(),
        channels: channels.clone(),
        after,
        upto: before.map_or(upto, |before| before.min(upto)),
    };
    let now = Id::last_at(SystemClock::new().now_ticks());
    with_store(&arguments.data, |storage, settled| {
        let mut header = wanted(Id::last_at(settled.reserved));
        let Some(path) = arguments.out.as_deref().filter(|path| *path != Path::new("-")) else {
            let mut out = std::io::stdout().lock();
            write(storage, &header, Start::Beginning, now, &mut out)?;
            return out.flush().context("writing the export");
        };
        let mut file = open_out(path, arguments.resume)?;
        let mut start = Start::Beginning;
        if arguments.resume
            && let Some(found) = resume::find(&mut BufReader::new(&file)).with_context(|| path.display().to_string())?
        {
            let same = Header { upto: header.upto, ..found.header.clone() } == header;
            ensure!(same, "{}: it is an export of something else", path.display());
            if found.is_complete {
                println!("{}: it is complete already", path.display());
                return Ok(());
            }
            (header, start) = (found.header, found.start);
            file.set_len(found.length).context("cutting off what is not whole")?;
        }
        file.seek(SeekFrom::End(0))?;
        let mut out = BufWriter::new(&mut file);
        let messages = write(storage, &header, start, now, &mut out)?;
        out.flush().and_then(|()| out.get_ref().sync_all()).context("writing the export")?;
        let seconds = began.elapsed().as_secs_f64();
        let messages = HumanCount(messages);
        println!("{}: {messages} messages of app {} in {seconds:.1} s", path.display(), header.app);
        Ok(())
    })
}

fn write(storage: &Storage, header: &Header, start: Start, now: Id, out: &mut dyn Write) -> anyhow::Result<u64> {
    let mut progress = Progress::new("exported", Unit::Count("messages"), None);
    write_lines(storage.kept(), header, start, now, out, &mut |messages| progress.add(messages))
}

fn open_out(path: &Path, resume: bool) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if resume {
        options.create(true).truncate(false)
    } else {
        options.create_new(true)
    };
    options.open(path).with_context(|| match path.exists() && !resume {
        true => format!("{} is there: --resume goes on with it", path.display()),
        false => format!("cannot write {}", path.display()),
    })
}

/// The store of a folder that nobody uses; or, beside the program that does, a point of it.
fn with_store(data: &Path, work: impl FnOnce(&Storage, Settled) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let held = control::capture(data)?;
    let storage = match &held {
        Some(_) => {
            let (folder, point) = captured(data)?;
            let linked = folder.join("store");
            store_disk::link_store(&point, &folder, &linked).context("linking a point")?;
            let options = StorageOptions { scratch: true, ..StorageOptions::default() };
            Storage::open(&linked, options, None).context("opening a point")?
        }
        None => Storage::open(data, StorageOptions::default(), None).context("opening the data folder")?,
    };
    let settled = storage.settle().context("reading the log")?;
    let done = work(&storage, settled);
    if held.is_some() && captured(data).is_err() {
        return done.context("the program ended meanwhile: --resume goes on from here");
    }
    done
}

/// Applies an export to a store that nobody uses.
pub fn import(arguments: &ImportArguments) -> anyhow::Result<()> {
    let began = Instant::now();
    let (path, data) = (&arguments.file, &arguments.data);
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = file.metadata()?.len();
    ensure!(file.metadata()?.is_file(), "{} is not a file: an import reads it twice", path.display());
    let header = check(&file, path, bytes)?;
    if arguments.check {
        println!("{}: nothing is wrong with it", path.display());
        return Ok(());
    }
    let app = arguments.app.as_deref().map_or(Ok(header.app), AppId::new)?;
    let storage = Storage::open(data, StorageOptions::default(), None)
        .context("opening the data folder; an import needs it to itself, stop the program that uses it")?;
    let settled = storage.settle().context("reading the log")?;
    // It follows what is new, and an import is not: a start makes it again.
    searching::remove(data)?;
    let import = Import::new(storage.kept(), app, settled.last_number, BATCHES);
    let mut progress = Progress::new("imported", Unit::Bytes, Some(bytes));
    let imported = import.run(&mut Lines::of(&file)?, &mut |bytes| progress.add(bytes))?;
    drop(progress);
    tell(path, &imported)?;
    println!("checked and imported in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Looks at every line before one is applied.
fn check(file: &File, path: &Path, bytes: u64) -> anyhow::Result<Header> {
    let mut check = Check::new(SystemClock::new().now_ticks());
    let mut progress = Progress::new("checked", Unit::Bytes, Some(bytes));
    let (mut lines, mut findings) = (Lines::of(file)?, Vec::new());
    while let Some(line) = lines.next()? {
        progress.add(line.len() as u64 + 1);
        if let Err(reason) = Line::parse(line).and_then(|line| check.line(&line)) {
            findings.push(format!("line {}: {reason}", lines.number()));
            if findings.len() >= FINDINGS_TOLD {
                break;
            }
        }
    }
    drop(progress);
    if findings.is_empty() && !check.is_complete {
        findings.push(format!("line {}: the end is missing; export --resume finishes the file", lines.number() + 1));
    }
    findings.iter().for_each(|finding| println!("{finding}"));
    match (findings.len(), check.header) {
        (0, Some(header)) => Ok(header),
        _ => bail!("{} cannot be imported; nothing was changed", path.display()),
    }
}

fn tell(path: &Path, imported: &Imported) -> anyhow::Result<()> {
    let count = |number: u64| HumanCount(number);
    println!(
        "{}: {} messages, with {} edits, {} reactions and {} that are gone; {} records; {} messages were there",
        path.display(),
        count(imported.messages),
        count(imported.edits),
        count(imported.reactions),
        count(imported.gone),
        count(imported.records),
        count(imported.skipped),
    );
    if imported.replaced > 0 {
        println!("{} records have newer values there, which stay", count(imported.replaced));
    }
    println!(
        "{} channels are new, {} got history below what they had",
        count(imported.channels),
        count(imported.beneath)
    );
    if imported.below_floors > 0 {
        println!(
            "{} messages lie below the floor of their channel: nothing comes back there",
            count(imported.below_floors)
        );
    }
    if imported.refused == 0 {
        return Ok(());
    }
    imported.refusals.iter().for_each(|refusal| println!("{refusal}"));
    bail!("{} of it were left as they are; all else is there", count(imported.refused))
}

fn ticks(time: jiff::Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or_default().saturating_mul(TICKS_PER_MS)
}
