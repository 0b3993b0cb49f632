//! What a person sees: tables, colours, progress, questions. Data goes to stdout, everything
//! else to stderr.

use std::env;
use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use clap::error::ErrorKind;
use indicatif::{ProgressBar, ProgressStyle};
use miette::{Diagnostic, IntoDiagnostic, Report, miette};
use owo_colors::{OwoColorize as _, Stream, Style};
use serde::Serialize;
use setpoint_importers::ImportError;
use setpoint_ops::Error;

mod table;

pub(crate) use table::{table, table_of_lines, table_with_text};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    /// Differences or conflicts were found.
    Differs,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Differs => Self::from(2),
        }
    }
}

/// Prints `text`. A reader who closes the pipe early, as `head` does, is no error.
pub(crate) fn show(text: impl Display) -> miette::Result<()> {
    show_if_read(text).map(drop)
}

/// As [`show`], and tells whether somebody still reads.
pub(crate) fn show_if_read(text: impl Display) -> miette::Result<bool> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.into_diagnostic().map(|()| true),
    }
}

/// Prints `value` as one JSON document.
pub(crate) fn show_json(value: &impl Serialize) -> miette::Result<()> {
    let text = serde_json::to_string_pretty(value).into_diagnostic()?;
    show(format_args!("{text}\n"))
}

/// Tells the person something that is not the result.
pub(crate) fn tell(text: impl Display) {
    // Nobody is there to be told that nobody is there.
    drop(writeln!(io::stderr(), "{text}"));
}

/// Why a command has failed.
pub(crate) struct Failure {
    pub report: Report,
    /// What was changed before the command began, a line each: it stays, though the command itself
    /// changed nothing.
    pub before: Vec<String>,
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self { report, before: Vec::new() }
    }
}

/// Prints `failure` the way it was asked for, and is the status to exit with.
pub(crate) fn fail(failure: &Failure, json: bool) -> ExitCode {
    let Failure { report, before } = failure;
    if json {
        let problem = Problem { before: before.clone(), ..Problem::of(report) };
        tell(serde_json::to_string_pretty(&problem).unwrap_or_default());
    } else {
        tell(format_args!("{report:?}"));
        if !before.is_empty() {
            // It has been told with each.
            tell("note: what was undone before that stays undone");
        }
    }
    Exit::Failed.into()
}

/// Prints why the command line is none, or the help or the version that it asks for, and is the
/// status to exit with.
pub(crate) fn misused(error: &clap::Error) -> ExitCode {
    let is_json = env::args_os().take_while(|it| it != "--").any(|it| it == "--json");
    if is_json && error.use_stderr() {
        tell(serde_json::to_string_pretty(&Problem::of_use(error)).unwrap_or_default());
    } else {
        // Nobody is there to be told that nobody is there.
        drop(error.print());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

/// An error as JSON.
#[derive(Default, Serialize)]
struct Problem {
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Problem>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before: Vec<String>,
}

#[derive(Serialize)]
struct Fault {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    line: u32,
    column: u32,
    message: String,
}

impl Problem {
    fn of_use(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let (said, usage) = text.split_once("Usage: ").unwrap_or((&text, ""));
        let parts =
            said.split("\n\n").map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
        let told = parts.filter(|it| !it.is_empty() && !it.starts_with("For more information"));
        let message = match error.kind() {
            // What it says then is all of the help.
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "a command is missing".to_owned()
            }
            _ => told.collect::<Vec<_>>().join("; ").replacen("error: ", "", 1),
        };
        let help = match usage.lines().next() {
            Some(usage) => format!("nothing was done; usage: {usage}"),
            None => "nothing was done; --help tells what there is".to_owned(),
        };
        Self { code: "usage::invalid".to_owned(), message, help: Some(help), ..Self::default() }
    }

    fn of(report: &Report) -> Self {
        let problem = Self::of_error(report.as_ref());
        match report.downcast_ref::<Error>() {
            Some(Error::Import(error)) => Self { faults: faults(error), ..problem },
            Some(Error::Refused { errors }) => {
                let related = errors.iter().map(|it| match it {
                    Error::Import(error) => Self { faults: faults(error), ..Self::of_error(it) },
                    _ => Self::of_error(it),
                });
                Self { related: related.collect(), ..problem }
            }
            _ => problem,
        }
    }

    fn of_error(error: &dyn Diagnostic) -> Self {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        let related = error.related().into_iter().flatten().map(Self::of_error);
        Self {
            code: error.code().map(|it| it.to_string()).unwrap_or_default(),
            message: error.to_string(),
            help: error.help().map(|it| it.to_string()),
            causes,
            faults: Vec::new(),
            related: related.collect(),
            before: Vec::new(),
        }
    }
}

/// Every fault of a file, also those that are not drawn.
fn faults(error: &ImportError) -> Vec<Fault> {
    let faults = error.faults().into_iter().map(|(place, message)| Fault {
        file: error.path().map(str::to_owned),
        line: place.line,
        column: place.column,
        message,
    });
    faults.collect()
}

/// `text` in `style` where standard output shows colours.
pub(crate) fn paint(text: &str, style: Style) -> String {
    text.if_supports_color(Stream::Stdout, |text| text.style(style)).to_string()
}

/// `line`, cut to the width of a terminal on standard output.
pub(crate) fn fitted(line: &str) -> String {
    match width() {
        Some(columns) => cut(line, columns.into()),
        None => line.to_owned(),
    }
}

/// The columns of the terminal on standard output.
pub(crate) fn width() -> Option<u16> {
    /// Asked for each line otherwise.
    static IS_TERMINAL: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
    IS_TERMINAL.then(|| terminal_size::terminal_size().map_or(80, |it| it.0.0))
}

/// `text` cut to fit `columns`.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    match text.char_indices().nth(columns) {
        None => text.to_owned(),
        Some(_) => text.chars().take(columns.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Whether a person can be asked.
pub(crate) fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What a person answers, without white space around it; nothing at the end of the input.
pub(crate) fn ask(question: &str) -> miette::Result<Option<String>> {
    tell(question);
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).into_diagnostic()?;
    Ok((read > 0).then(|| answer.trim().to_owned()))
}

/// Asks `question` on a terminal. Without one, `--yes` has to be given.
pub(crate) fn confirm(question: &str, yes: bool) -> miette::Result<()> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(miette!(
            code = "confirm::nobody",
            help = "nothing was changed; add --yes if it is meant",
            "{question} Nobody is here to ask"
        ));
    }
    match ask(&format!("{question} [y/N]"))?.as_deref() {
        Some("y" | "Y" | "yes") => Ok(()),
        _ => Err(miette!(code = "confirm::refused", "nothing was changed")),
    }
}

/// Shows on a terminal which step of a work is going on, once the step has taken a second.
pub(crate) struct Progress {
    stop: Option<mpsc::Sender<()>>,
    shown: Option<thread::JoinHandle<()>>,
}

impl Progress {
    /// Begins the step `what`, number `at` of `count`.
    pub(crate) fn start(at: u64, count: u64, what: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self { stop: None, shown: None };
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let goes_on =
            move |wait| stopped.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Timeout);
        let shown = thread::spawn(move || {
            if !goes_on(Duration::from_secs(1)) {
                return;
            }
            let style =
                ProgressStyle::with_template("{bar:20} step {pos} of {len}: {msg}, {elapsed}");
            let bar = ProgressBar::new(count).with_position(at).with_message(what);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.tick();
            while goes_on(Duration::from_millis(100)) {
                bar.tick();
            }
            bar.finish_and_clear();
        });
        Self { stop: Some(stop), shown: Some(shown) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(shown) = self.shown.take() {
            // It only draws; a panic in it has been reported by then.
            drop(shown.join());
        }
    }
}

/// The text on standard input.
pub(crate) fn standard_input() -> miette::Result<String> {
    io::read_to_string(io::stdin()).map_err(|source| {
        Error::Unreadable {
            path: "standard input".into(),
            help: "give UTF-8 text".to_owned(),
            source,
        }
        .into()
    })
}
