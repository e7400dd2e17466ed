//! Stands between bewaard and the server, and does to the line at COMMIT what networks do: cuts it before, in the middle or
//! behind, swallows without a word, closes one direction, or holds it back.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Where the line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// COMMIT never reaches the server.
    BeforeCommit,
    /// The server committed and answered; the answer never arrives.
    BeforeAnswer,
    /// Half of the packet with COMMIT reaches the server.
    InCommit,
    /// COMMIT is swallowed, and so is all that follows, while the line stays as it was.
    SilentBeforeCommit,
    /// The server committed; from its answer on everything is swallowed, while the line stays as it was.
    SilentBeforeAnswer,
    /// The server committed; only its own direction is closed before the answer.
    HalfClosed,
    /// COMMIT is held until [`Proxy::let_through`], then goes on to the server.
    Held,
}

/// One line between bewaard and the server.
#[derive(Default)]
struct Line {
    /// What becomes of the answer to COMMIT.
    answer: Mutex<Option<Cut>>,
    /// Nothing passes any more, in either direction.
    silent: AtomicBool,
}

/// A listener that forwards to a server.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

struct State {
    server: AtomicU16,
    cut: Mutex<Option<Cut>>,
    /// Nobody is let through any more.
    closed: AtomicBool,
    /// Whether to close for everybody at the cut.
    close_at_cut: AtomicBool,
    /// So many new lines are refused behind the cut.
    refusals: AtomicU32,
    cuts: AtomicU32,
    lines: Mutex<Vec<TcpStream>>,
    let_through: (Mutex<bool>, Condvar),
}

impl Proxy {
    /// A proxy before the server at this port of loopback.
    pub(crate) fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server: AtomicU16::new(server),
            cut: Mutex::new(None),
            closed: AtomicBool::new(false),
            close_at_cut: AtomicBool::new(false),
            refusals: AtomicU32::new(0),
            cuts: AtomicU32::new(0),
            lines: Mutex::new(Vec::new()),
            let_through: (Mutex::new(false), Condvar::new()),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if !shared.closed.load(Ordering::SeqCst) && !shared.refuses() {
                    forward(&shared, client);
                }
            }
        });
        Self { port, state }
    }

    /// Cuts the next COMMIT; afterwards the server can be reached again, or not.
    pub(crate) fn cut(&self, cut: Cut, and_stay_away: bool) {
        self.state.close_at_cut.store(and_stay_away, Ordering::SeqCst);
        *self.state.cut.lock().unwrap() = Some(cut);
    }

    /// Lets a COMMIT that is held go on to the server.
    pub(crate) fn let_through(&self) {
        let (open, told) = &self.state.let_through;
        *open.lock().unwrap() = true;
        told.notify_all();
    }

    /// Refuses so many new lines behind the cut.
    pub(crate) fn refuse_then(&self, lines: u32) {
        self.state.refusals.store(lines, Ordering::SeqCst);
    }

    /// How often it has cut.
    pub(crate) fn cuts(&self) -> u32 {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// Lets nobody through, and breaks every line.
    pub(crate) fn close(&self) {
        self.state.close();
    }

    /// Another server is behind it from now on; who is connected is cut off.
    pub(crate) fn fail_over(&self, server: u16) {
        self.close();
        self.state.server.store(server, Ordering::SeqCst);
        self.open();
    }

    /// Lets everybody through again.
    pub(crate) fn open(&self) {
        self.state.closed.store(false, Ordering::SeqCst);
    }
}

impl State {
    /// Whether this new line is one of those to be refused.
    fn refuses(&self) -> bool {
        let fewer = |left: u32| left.checked_sub(1);
        self.cuts.load(Ordering::SeqCst) > 0
            && self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok()
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for line in self.lines.lock().unwrap().drain(..) {
            drop(line.shutdown(Shutdown::Both));
        }
    }
}

fn forward(state: &Arc<State>, client: TcpStream) {
    let server = TcpStream::connect(("127.0.0.1", state.server.load(Ordering::SeqCst))).unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let mut lines = state.lines.lock().unwrap();
    lines.push(client.try_clone().unwrap());
    lines.push(server.try_clone().unwrap());
    drop(lines);
    let line = Arc::new(Line::default());
    let (state_up, state_down) = (Arc::clone(state), Arc::clone(state));
    let (line_up, line_down) = (Arc::clone(&line), line);
    let (client_up, server_up) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || upwards(&state_up, client_up, server_up, &line_up));
    thread::spawn(move || downwards(&state_down, server, client, &line_down));
}

fn end(a: &TcpStream, b: &TcpStream) {
    drop(a.shutdown(Shutdown::Both));
    drop(b.shutdown(Shutdown::Both));
}

fn cut_now(state: &State, a: &TcpStream, b: &TcpStream) {
    state.cuts.fetch_add(1, Ordering::SeqCst);
    end(a, b);
    if state.close_at_cut.load(Ordering::SeqCst) {
        state.close();
    }
}

/// From bewaard to the server. Without TLS a COMMIT is readable in both protocols, and nothing else of ours holds it.
fn upwards(state: &State, mut client: TcpStream, mut server: TcpStream, line: &Line) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count) = client.read(&mut bytes) {
        let piece = &bytes[..count];
        if piece.is_empty() {
            break;
        }
        if line.silent.load(Ordering::SeqCst) {
            continue;
        }
        let at = piece.windows(6).position(|six| six == b"COMMIT");
        if at.is_some() && !piece.windows(9).any(|nine| nine == b"COMMITTED") {
            let wanted = state.cut.lock().unwrap().take();
            match wanted {
                None => {}
                Some(Cut::BeforeCommit) => return cut_now(state, &client, &server),
                Some(Cut::InCommit) => {
                    server.write_all(&piece[..at.unwrap_or(0) + 3]).unwrap();
                    return cut_now(state, &client, &server);
                }
                Some(Cut::SilentBeforeCommit) => {
                    state.cuts.fetch_add(1, Ordering::SeqCst);
                    line.silent.store(true, Ordering::SeqCst);
                    continue;
                }
                Some(Cut::Held) => {
                    state.cuts.fetch_add(1, Ordering::SeqCst);
                    let (open, told) = &state.let_through;
                    drop(told.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
                }
                answer => *line.answer.lock().unwrap() = answer,
            }
        }
        if server.write_all(piece).is_err() {
            break;
        }
    }
    end(&client, &server);
}

/// From the server to bewaard.
fn downwards(state: &State, mut server: TcpStream, mut client: TcpStream, line: &Line) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count) = server.read(&mut bytes) {
        let piece = &bytes[..count];
        if piece.is_empty() {
            break;
        }
        if line.silent.load(Ordering::SeqCst) {
            continue;
        }
        match line.answer.lock().unwrap().take() {
            None => {}
            Some(Cut::SilentBeforeAnswer) => {
                state.cuts.fetch_add(1, Ordering::SeqCst);
                line.silent.store(true, Ordering::SeqCst);
                continue;
            }
            Some(Cut::HalfClosed) => {
                state.cuts.fetch_add(1, Ordering::SeqCst);
                client.shutdown(Shutdown::Write).unwrap();
                return;
            }
            Some(_) => return cut_now(state, &server, &client),
        }
        if client.write_all(piece).is_err() {
            break;
        }
    }
    end(&server, &client);
}
