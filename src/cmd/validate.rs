use miette::Report;
use setpoint_ops::amount::counted;
use setpoint_ops::source::read;
use setpoint_ops::{Error, import};

use super::{Context, Exit, sources};
use crate::console;

/// Check files without a database: that they can be read, mapped, and fit together
///
/// Exits with 2 if they cannot.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    given: sources::Given,
}

pub(super) fn run(context: &Context, args: Args) -> miette::Result<Exit> {
    let declared = sources::chosen(context, &args.given, "validate")?;
    let read = read(&declared, &[], &context.loaded.limits());
    let read = match read.and_then(|read| import::check(&read).map(|()| read)) {
        Ok(read) => read,
        Err(error) if is_about_content(&error) => {
            console::fail(&Report::from(error).into(), context.json);
            return Ok(Exit::Differs);
        }
        Err(error) => return Err(error.into()),
    };
    let meanings = || read.iter().filter_map(|it| it.meaning.as_ref());
    let settings: usize = meanings().map(|it| it.entries.len()).sum();
    let secrets: usize = meanings().map(|it| it.secrets.len()).sum();
    if context.json {
        console::show_json(&serde_json::json!({
            "files": read.len(), "settings": settings, "secrets": secrets
        }))?;
        return Ok(Exit::Done);
    }
    let mut said = vec![counted(read.len(), "file"), counted(settings, "setting")];
    said.extend((secrets > 0).then(|| counted(secrets, "secret")));
    console::show(format_args!("{}: all right\n", said.join(", ")))?;
    Ok(Exit::Done)
}

fn is_about_content(error: &Error) -> bool {
    matches!(
        error,
        Error::Import(_)
            | Error::Refused { .. }
            | Error::Mapping { .. }
            | Error::ClaimedTwice { .. }
    )
}
