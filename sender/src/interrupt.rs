//! What an interrupted sender says: a spool is safe at any moment, but only the sender knows what waits in it.

use std::io;
use std::sync::{Arc, Mutex};

use logystera_infra::shutdown::Shutdown;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::disk::lock;
use crate::report::SendReport;

/// Exit code of a sender that was told to stop (128 + SIGINT, as shells count).
const EXIT_INTERRUPTED: i32 = 130;

type Teller = Box<dyn Fn() -> Option<SendReport> + Send>;

/// SIGINT and SIGTERM, once somebody listens.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<Mutex<Option<Teller>>>);

impl Interrupt {
    /// Ends the process on the first signal, after it has said what waits.
    pub fn listen(&self, json: bool) {
        let this = self.clone();
        std::thread::spawn(move || {
            let stopped = Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                runtime.block_on(async {
                    let shutdown = Shutdown::new();
                    shutdown.on_signals()?;
                    shutdown.wait().await;
                    io::Result::Ok(())
                })
            });
            // Where signals cannot be had, they end the process as they always do.
            if stopped.is_ok() {
                this.say(json);
                std::process::exit(EXIT_INTERRUPTED);
            }
        });
    }

    /// What to say from now on.
    pub(crate) fn tells(&self, what: impl Fn() -> Option<SendReport> + Send + 'static) {
        *lock(&self.0) = Some(Box::new(what));
    }

    fn say(&self, json: bool) {
        let told = lock(&self.0).as_ref().and_then(|tell| tell());
        let waits = told.as_ref().map_or("the same command goes on where it was", |told| &told.waits);
        eprintln!("logystera send: interrupted; {waits}");
        if json {
            println!("{}", told.map_or_else(|| json!({"interrupted": true}), |told| interrupted(told.json)));
        }
    }
}

fn interrupted(mut json: Value) -> Value {
    json["interrupted"] = true.into();
    json
}
