//! Work that gives way to all other work of the program.

use std::{io, thread};

use tokio::runtime;
use tokio::sync::oneshot;

/// The lowest there is.
const PRIORITY: i32 = 19;

/// Does `work` on a thread of its own, which runs when nobody else wants to, as do the threads that
/// it starts. It ends with the future that waits for it.
///
/// # Errors
///
/// [`io::Error`] if there can be no thread, or it panics.
pub(crate) async fn in_background<T, F>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<T>
where
    F: Future<Output = T>,
    T: Send + 'static,
{
    let (mut give, done) = oneshot::channel();
    let run = move || {
        // Of this thread, on Linux. Who may not goes on as everybody.
        if let Err(error) = rustix::process::setpriority_process(None, PRIORITY) {
            tracing::debug!(%error, "background work is as important as any");
        }
        // Threads are inherited from: those of the runtime that serves are not to be slow for ever.
        let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(give.send(Err(error))),
        };
        let done = runtime.block_on(async {
            tokio::select! {
                value = work() => Some(value),
                () = give.closed() => None,
            }
        });
        if let Some(value) = done {
            drop(give.send(Ok(value)));
        }
    };
    thread::Builder::new().name("background".to_owned()).spawn(run)?;
    done.await.unwrap_or_else(|_| Err(io::Error::other("the work panicked")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::task::spawn_blocking;

    use super::*;

    fn priority() -> i32 {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit(')').next().unwrap();
        after_name.split_whitespace().nth(16).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn only_it_and_its_threads_give_way() {
        let before = priority();

        let work = || async { (priority(), spawn_blocking(priority).await.unwrap()) };
        let within = in_background(work).await.unwrap();

        assert_eq!(within, (19, 19));
        assert_eq!((priority(), spawn_blocking(priority).await.unwrap()), (before, before));
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let failed = in_background(|| async { panic!("as it is meant") }).await;

        assert_eq!(failed.map(|(): ()| ()).unwrap_err().to_string(), "the work panicked");
    }

    #[tokio::test]
    async fn it_ends_when_nobody_waits() {
        let (dropped, is_dropped) = oneshot::channel::<()>();
        let (started, is_started) = oneshot::channel();
        let work = in_background(move || async move {
            let _held = dropped;
            started.send(()).unwrap();
            std::future::pending::<()>().await;
        });

        tokio::select! {
            _ = work => unreachable!("it has no end"),
            _ = is_started => {}
        }

        assert!(is_dropped.await.is_err());
    }
}
