//! `sim`: runs seeds until the engine and the model differ.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use logystera_sim::drive::{self, Difference, Figures};
use logystera_sim::generate::world;
use logystera_sim::outage;
use logystera_sim::record::{self, Recording};

const HELP: &str = "\
Runs seeds through the engine and the naive model until they differ.

    sim [--seeds N] [--from N] [--threads N]    N seeds (10000) from N (0) on
    sim --seed N [--trace]                      one seed; --trace prints its whole log
    --outages                                   plays stories punctually and through outages instead
    sim --seed N --record FOLDER                writes the seed's log and rules, as tests/golden has them
    sim --record-days FOLDER                    the same, of a log of three days that is no seed's
    --quiet                                     one line: no progress, and no smaller log

Exit: 0 all agree, 1 a difference, 2 wrong use.
";

struct Options {
    from: u64,
    seeds: u64,
    threads: u64,
    trace: bool,
    quiet: bool,
    outages: bool,
    record: Option<PathBuf>,
    record_days: Option<PathBuf>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        from: 0,
        seeds: 10_000,
        threads: 2,
        trace: false,
        quiet: false,
        outages: false,
        record: None,
        record_days: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if let Some(folder) = match arg.as_str() {
            "--record" => Some(&mut options.record),
            "--record-days" => Some(&mut options.record_days),
            _ => None,
        } {
            *folder = Some(args.next().ok_or(format!("{arg} needs a folder"))?.into());
            continue;
        }
        let mut number = || {
            let text = args.next().ok_or(format!("{arg} needs a number"))?;
            text.parse::<u64>().map_err(|_| format!("{arg} needs a number, not {text}"))
        };
        match arg.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--threads" => options.threads = number()?.clamp(1, 64),
            "--seed" => (options.from, options.seeds) = (number()?, 1),
            "--outages" => options.outages = true,
            "--quiet" => options.quiet = true,
            "--trace" => options.trace = true,
            _ => return Err(format!("unknown: {arg}")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    if options.trace {
        print!("{}", drive::show_log(&world::log_of(options.from)));
    }
    if let Some(folder) = &options.record {
        return write_recording(&format!("sim-{}", options.from), record::record(options.from), folder);
    }
    if let Some(folder) = &options.record_days {
        return write_recording("days", record::record_days(), folder);
    }
    match run(&options) {
        Ok(figures) => {
            println!(
                "{} seeds agree: {} records, {} signals, {} detections, {} minutes of metrics",
                options.seeds, figures.records, figures.signals, figures.detections, figures.points
            );
            ExitCode::SUCCESS
        }
        Err(seed) => {
            if options.quiet {
                println!("seed {seed} differs");
            } else {
                report(&options, seed);
            }
            ExitCode::from(1)
        }
    }
}

/// Writes a recording, and says what happens in it.
fn write_recording(name: &str, recorded: Result<Recording, Difference>, folder: &Path) -> ExitCode {
    let recording = match recorded {
        Ok(recording) => recording,
        Err(difference) => {
            println!("{name} differs\n{difference}");
            return ExitCode::from(1);
        }
    };
    if let Err(error) = recording.write(folder, name) {
        eprintln!("{}: {error}", folder.display());
        return ExitCode::from(2);
    }
    let covers: Vec<&str> = recording.covers.iter().map(String::as_str).collect();
    let (records, detections) = (recording.log.inputs.len(), recording.detections);
    println!("{name}: {records} records, {detections} detections: {}", covers.join(", "));
    ExitCode::SUCCESS
}

/// Runs the seeds on all threads; the lowest seed that fails is the error.
fn run(options: &Options) -> Result<Figures, u64> {
    let next = AtomicU64::new(options.from);
    let end = options.from + options.seeds;
    let failed = AtomicU64::new(u64::MAX);
    let total = Mutex::new(Figures::default());
    std::thread::scope(|scope| {
        for _ in 0..options.threads.min(options.seeds) {
            scope.spawn(|| {
                let mut figures = Figures::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end || seed > failed.load(Ordering::SeqCst) {
                        break;
                    }
                    match check(options, seed) {
                        Ok(run) => figures.add(run),
                        Err(_) => {
                            failed.fetch_min(seed, Ordering::SeqCst);
                        }
                    }
                    if !options.quiet && (seed + 1 - options.from).is_multiple_of(1_000) {
                        println!("{} seeds", seed + 1 - options.from);
                    }
                }
                if let Ok(mut total) = total.lock() {
                    total.add(figures);
                }
            });
        }
    });
    match failed.into_inner() {
        u64::MAX => Ok(total.into_inner().unwrap_or_default()),
        seed => Err(seed),
    }
}

fn check(options: &Options, seed: u64) -> Result<Figures, drive::Difference> {
    if options.outages { outage::check(seed) } else { drive::check(seed, &world::log_of(seed)) }
}

/// Prints the smallest log found that still fails, and how.
fn report(options: &Options, seed: u64) {
    if options.outages {
        if let Err(difference) = outage::check(seed) {
            println!("seed {seed} differs\n{difference}");
        }
        return;
    }
    let log = world::log_of(seed);
    let drive_of = |log: &_| drive::check(seed, log).err().map(|d| d.drive);
    let found_by = drive_of(&log);
    let smallest = drive::shrink(&log, |candidate| drive_of(candidate) == found_by);
    println!("seed {seed} differs; of {} records these {} are enough:\n", log.inputs.len(), smallest.inputs.len());
    println!("{}", drive::show_log(&smallest));
    if let Err(difference) = drive::check(seed, &smallest) {
        println!("{difference}");
    }
    println!("to see it again: cargo run -p logystera-sim --release -- --seed {seed}");
}
