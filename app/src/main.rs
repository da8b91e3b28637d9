//! The binary: parses the command line and calls the subcommand.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use logystera_app::cli::{self, CliError};
use logystera_app::commands::{
    channel, convert, delivery, log, partitions, replay, rules, send, series, sign, silence, site, tail, why,
};
#[cfg(feature = "kafka")]
use logystera_app::roles::{self, Role};
use logystera_app::up;
use logystera_infra::terminal;

/// Behavioural monitoring for web applications
///
/// Integrations send small signed batches of signals; rules watch them; alerts reach a person once, with evidence.
#[derive(Parser)]
#[command(name = "logystera", version, max_term_width = 120, arg_required_else_help = true)]
#[command(after_help = "Start here:
  logystera up --demo            the whole story in one terminal, in two minutes
  logystera up                   run it; it says what to do next

Exit codes: 0 done; 1 a finding, such as a difference or a failed test; 2 wrong use; 3 not available.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Args),
    #[cfg(feature = "kafka")]
    Gateway(roles::Args),
    #[cfg(feature = "kafka")]
    Processor(roles::Args),
    #[cfg(feature = "kafka")]
    Alerter(roles::Args),
    Site(site::Args),
    Channel(channel::Args),
    Delivery(delivery::Args),
    Silence(silence::Args),
    Send(send::Args),
    Sign(sign::Args),
    Convert(convert::Args),
    Tail(tail::Args),
    Series(series::Args),
    Rules(rules::Args),
    Why(why::Args),
    Replay(replay::Args),
    Partitions(partitions::Args),
    Log(log::Args),
}

fn main() -> ExitCode {
    let done = run();
    if terminal::lost() {
        return cli::finish("output", Err(CliError::not_available("standard output could not be written whole")));
    }
    done
}

fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Up(args) => up::run(args),
        #[cfg(feature = "kafka")]
        Command::Gateway(args) => roles::run(Role::Gateway, &args),
        #[cfg(feature = "kafka")]
        Command::Processor(args) => roles::run(Role::Processor, &args),
        #[cfg(feature = "kafka")]
        Command::Alerter(args) => roles::run(Role::Alerter, &args),
        Command::Site(args) => site::run(&args),
        Command::Channel(args) => channel::run(&args),
        Command::Delivery(args) => delivery::run(&args),
        Command::Silence(args) => silence::run(&args),
        Command::Send(args) => send::run(args),
        Command::Sign(args) => sign::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Tail(args) => tail::run(&args),
        Command::Series(args) => series::run(&args),
        Command::Rules(args) => rules::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Partitions(args) => partitions::run(&args),
        Command::Log(args) => log::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Columns of a terminal that nobody made wider.
    const COLUMNS: usize = 80;

    fn walk(command: &clap::Command, name: &str, faults: &mut Vec<String>) {
        let texts = [command.get_long_about(), command.get_after_help(), command.get_after_long_help()];
        let text: Vec<String> = texts.iter().flatten().map(ToString::to_string).collect();
        let text = text.join("\n");
        let examples: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        if !command.has_subcommands() && !examples.iter().any(|line| line.trim_start().starts_with(name)) {
            faults.push(format!("{name}: --help shows no example of it"));
        }
        let long = examples.iter().filter(|line| line.chars().count() > COLUMNS);
        faults.extend(long.map(|line| format!("{name}: wrapped on {COLUMNS} columns: {line}")));
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            walk(sub, &format!("{name} {}", sub.get_name()), faults);
        }
    }

    #[test]
    fn each_command_teaches_by_an_example_that_is_not_wrapped() {
        let mut faults = Vec::new();
        walk(&Cli::command(), "logystera", &mut faults);
        assert_eq!(faults, Vec::<String>::new());
    }
}
