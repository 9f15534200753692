//! The child's resource limits. Runs in the child; trusts nothing.
//!
//! Soft and hard limit become the same, so that nothing can be raised again, and a limit that is already lower stays.

use crate::error::Error;
use crate::step::Step;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Each limit with its unit's value.
const LIMITS: [(Resource, u64); 5] = [
    // No memory of this process on any disk.
    (Resource::RLIMIT_CORE, 0),
    // No further process or thread. (The seccomp table has no clone either.)
    (Resource::RLIMIT_NPROC, 0),
    // No byte into any file; pipes and sockets are not counted. A descriptor of a file that is open for writing,
    // a redirected standard error for instance, must not be in the child: a write to it is SIGXFSZ, or an error where
    // that is ignored.
    (Resource::RLIMIT_FSIZE, 0),
    // Three standard descriptors, a few pipes, an event loop, and a socket for each question in flight and each of its
    // repetitions: a hundred in practice.
    (Resource::RLIMIT_NOFILE, 256),
    // Program, libraries, stack and heap stay below 64 MiB in practice. Eight times that is never in the way. It is the
    // bound of a child that has fallen; that of as many as may run at a time is so many times larger, and the caller's.
    (Resource::RLIMIT_AS, 512 * 1024 * 1024),
];

/// Lowers the limits and reads them back.
pub(crate) fn lower() -> Result<(), Error> {
    let refused = || Error::refused(Step::Limits);
    for (resource, wanted) in LIMITS {
        let (_, hard) = getrlimit(resource).map_err(refused())?;
        let limit = wanted.min(hard);
        setrlimit(resource, limit, limit).map_err(refused())?;
        if getrlimit(resource).map_err(refused())? != (limit, limit) {
            return Err(Error::Ineffective { step: Step::Limits });
        }
    }
    Ok(())
}
