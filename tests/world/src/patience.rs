//! The one place that waits by polling, for things that send no event: a daemon's socket, a process's
//! child. A test never depends on how long it took, only on whether it came.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a condition may take before the test stops: generous, for loaded machines.
pub const LONG_ENOUGH: Duration = Duration::from_secs(60);

/// The next connection; nobody who comes within [`LONG_ENOUGH`] stops the test.
pub fn accept(listener: &TcpListener) -> TcpStream {
    let limit = PollTimeout::try_from(LONG_ENOUGH).expect("a time that poll(2) knows");
    let mut connection = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let came = poll(&mut connection, limit).expect("poll of a listener");
    assert_ne!(came, 0, "nobody connected to {:?}", listener.local_addr());
    listener.accept().expect("a connection").0
}

/// Asks `ready` until it answers, and returns the answer; `None` once [`LONG_ENOUGH`] has passed.
pub fn until<T>(mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let mut nap = Duration::from_millis(1);
    loop {
        if let Some(answer) = ready() {
            return Some(answer);
        }
        if start.elapsed() > LONG_ENOUGH {
            return None;
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(10));
    }
}
