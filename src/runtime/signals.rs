use std::io;

/// What comes to the program from outside the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It is asked to end, by the signal of this number; a terminal that is gone counts as a hang-up.
    End(u8),
    /// It is asked to stop until it is continued.
    Stop,
    /// It goes on after having been stopped by force; the terminal may have been used by others meanwhile.
    Continued,
}

#[cfg(unix)]
pub use unix::{Signals, is_gone};
#[cfg(windows)]
pub use windows::{Signals, is_gone};

#[cfg(unix)]
mod unix {
    use std::{future::poll_fn, process, task::Poll, thread, time::Duration};

    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        io::retry_on_intr,
        process::Signal as Number,
    };
    use tokio::{
        signal::unix::{Signal as Stream, SignalKind, signal},
        time::sleep,
    };
    use tokio_util::sync::{CancellationToken, DropGuard};

    use super::{Signal, io};

    /// How long the program may go on without its terminal: more than ending in order takes.
    const END_PATIENCE: Duration = Duration::from_secs(10);
    /// How long the loop may take to answer a signal that asks it to end.
    const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
    /// How often it is tried to free a loop that is stuck, and the time between.
    const UNSTICK_TRIES: u32 = 60;
    const BETWEEN_TRIES: Duration = Duration::from_millis(50);

    /// Signals that end a program that does not answer them. What ends one whatever it does (SIGKILL) or tells of a broken
    /// one (SIGSEGV, SIGABRT) is not among them.
    const ENDING: [Number; 10] = [
        Number::TERM,
        Number::INT,
        Number::QUIT,
        Number::HUP,
        Number::USR1,
        Number::USR2,
        Number::ALARM,
        Number::VTALARM,
        Number::PROF,
        Number::XCPU,
    ];
    /// Those that keys of the terminal send.
    const OF_KEYS: [Number; 2] = [Number::INT, Number::QUIT];

    /// The signals that the application answers.
    pub struct Signals {
        ending: Vec<(Number, Stream)>,
        stop: Stream,
        continued: Stream,
        /// Cancelled when the terminal is gone.
        gone: CancellationToken,
        /// Cancelled when all of this is dropped: the terminal has been given back.
        over: CancellationToken,
        _drop: DropGuard,
    }

    fn stream(number: Number) -> io::Result<Stream> {
        signal(SignalKind::from_raw(number.as_raw()))
    }

    fn end(number: Number) -> u8 {
        u8::try_from(number.as_raw()).unwrap_or(u8::MAX)
    }

    fn ending() -> io::Result<Vec<(Number, Stream)>> {
        ENDING.into_iter().map(|number| Ok((number, stream(number)?))).collect()
    }

    /// Waits for any of some signals.
    async fn any(streams: &mut [(Number, Stream)], but: &[Number]) -> u8 {
        poll_fn(|cx| {
            let wanted = streams.iter_mut().filter(|(number, _)| !but.contains(number));
            let came = wanted.filter_map(|(number, stream)| stream.poll_recv(cx).is_ready().then_some(*number)).next();
            came.map_or(Poll::Pending, |number| Poll::Ready(end(number)))
        })
        .await
    }

    impl Signals {
        /// # Errors
        /// When a signal can't be heard.
        pub fn new() -> io::Result<Self> {
            let (gone, over) = (CancellationToken::new(), CancellationToken::new());
            let (tell, ended) = (gone.clone(), over.clone());
            thread::Builder::new().name("hang-up".to_owned()).spawn(move || {
                if !is_gone(None) {
                    return;
                }
                tell.cancel();
                thread::sleep(END_PATIENCE);
                // Reading from a terminal that is gone may spin for ever in the thread that should have ended in order.
                if !ended.is_cancelled() {
                    process::exit(128 + Number::HUP.as_raw());
                }
            })?;
            Ok(Self {
                ending: ending()?,
                stop: stream(Number::TSTP)?,
                continued: stream(Number::CONT)?,
                gone,
                _drop: over.clone().drop_guard(),
                over,
            })
        }

        /// Has `stuck` called again and again from a while after the program was asked to end until it has, and ends it by
        /// force when that does not help. `stuck` says whether there is a reason, and does what it can about it.
        ///
        /// # Errors
        /// When a signal can't be heard.
        pub fn watch(&self, stuck: fn() -> bool, force: fn()) -> io::Result<()> {
            let (mut signals, over) = (ending()?, self.over.clone());
            tokio::spawn(over.clone().run_until_cancelled_owned(async move {
                loop {
                    let number = any(&mut signals, &[]).await;
                    let mut tries = 0;
                    sleep(ANSWER_PATIENCE).await;
                    while stuck() {
                        tries += 1;
                        if tries > UNSTICK_TRIES {
                            force();
                            process::exit(128 + i32::from(number));
                        }
                        sleep(BETWEEN_TRIES).await;
                    }
                }
            }));
            Ok(())
        }

        /// Waits until the program is asked to end; gives the signal's number.
        pub async fn ended(&mut self) -> u8 {
            tokio::select! {
                biased;
                number = any(&mut self.ending, &[]) => number,
                () = self.gone.cancelled() => end(Number::HUP),
            }
        }

        /// The same while another program has the terminal: keys of the terminal send their signals to that one, and what
        /// it is stopped by stops us too, with `stop`.
        pub async fn ended_outside(&mut self, stop: fn() -> io::Result<()>) -> u8 {
            loop {
                tokio::select! {
                    number = any(&mut self.ending, &OF_KEYS) => return number,
                    () = self.gone.cancelled() => return end(Number::HUP),
                    _ = self.stop.recv() => {
                        // Where that can't be done, we wait on for the other program.
                        let _ = stop();
                    }
                }
            }
        }

        /// Forgets what was sent by keys of the terminal, and what came of it.
        ///
        /// # Errors
        /// When a signal can't be heard.
        pub fn forget_keys(&mut self) -> io::Result<()> {
            for (number, heard) in self.ending.iter_mut().filter(|(number, _)| OF_KEYS.contains(number)) {
                *heard = stream(*number)?;
            }
            self.stop = stream(Number::TSTP)?;
            self.continued = stream(Number::CONT)?;
            Ok(())
        }

        /// Waits until the program is continued.
        pub async fn continued(&mut self) {
            self.continued.recv().await;
        }

        pub async fn next(&mut self) -> Signal {
            tokio::select! {
                biased;
                number = any(&mut self.ending, &[]) => Signal::End(number),
                () = self.gone.cancelled() => Signal::End(end(Number::HUP)),
                _ = self.stop.recv() => Signal::Stop,
                _ = self.continued.recv() => Signal::Continued,
            }
        }
    }

    /// Whether standard input's other end is closed, within a time; without one it waits until it is. Nothing else wakes
    /// this, keys least of all. `false` also where that can't be watched, as some systems have it with terminals.
    pub fn is_gone(within: Option<Duration>) -> bool {
        let input = io::stdin();
        let mut watched = [PollFd::new(&input, PollFlags::empty())];
        let within = within.and_then(|time| Timespec::try_from(time).ok());
        let heard = retry_on_intr(|| poll(&mut watched, within.as_ref())).is_ok();
        heard && watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

#[cfg(windows)]
mod windows {
    use std::time::Duration;

    use tokio::signal::windows as console;

    use super::{Signal, io};

    // As the C library has them there, and as elsewhere what they stand for.
    const INTERRUPT: u8 = 2;
    const BREAK: u8 = 21;
    const HANG_UP: u8 = 1;
    const TERMINATE: u8 = 15;

    /// What the console and the system tell the application. Raw mode makes Ctrl-C a key, so that one comes from others.
    pub struct Signals {
        interrupt: console::CtrlC,
        ctrl_break: console::CtrlBreak,
        /// The window is closed; the system waits five seconds.
        closed: console::CtrlClose,
        logoff: console::CtrlLogoff,
        shutdown: console::CtrlShutdown,
    }

    impl Signals {
        /// # Errors
        /// When they can't be heard.
        pub fn new() -> io::Result<Self> {
            Ok(Self {
                interrupt: console::ctrl_c()?,
                ctrl_break: console::ctrl_break()?,
                closed: console::ctrl_close()?,
                logoff: console::ctrl_logoff()?,
                shutdown: console::ctrl_shutdown()?,
            })
        }

        /// Waits until the program is asked to end while another one has the terminal: keys are meant for that one.
        pub async fn ended_outside(&mut self, _: fn() -> io::Result<()>) -> u8 {
            tokio::select! {
                _ = self.closed.recv() => HANG_UP,
                _ = self.logoff.recv() => TERMINATE,
                _ = self.shutdown.recv() => TERMINATE,
            }
        }

        /// Nothing is stuck here for long: a console takes what is written.
        ///
        /// # Errors
        /// Never.
        pub fn watch(&self, _: fn() -> bool, _: fn()) -> io::Result<()> {
            Ok(())
        }

        /// Forgets what was sent by keys of the terminal.
        ///
        /// # Errors
        /// When they can't be heard.
        pub fn forget_keys(&mut self) -> io::Result<()> {
            self.interrupt = console::ctrl_c()?;
            self.ctrl_break = console::ctrl_break()?;
            Ok(())
        }

        pub async fn next(&mut self) -> Signal {
            Signal::End(tokio::select! {
                biased;
                _ = self.closed.recv() => HANG_UP,
                _ = self.logoff.recv() => TERMINATE,
                _ = self.shutdown.recv() => TERMINATE,
                _ = self.interrupt.recv() => INTERRUPT,
                _ = self.ctrl_break.recv() => BREAK,
            })
        }
    }

    /// Not known here: a console that is closed is told of.
    pub fn is_gone(_: Option<Duration>) -> bool {
        false
    }
}
