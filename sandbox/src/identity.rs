//! Who the child becomes, and the proof that it cannot go back.
//!
//! [`Identity::choose`] runs in the monitor, before the fork; the rest runs in the child. Trusted: the caller's account
//! name and the user database. An id that cannot be taken on, reads back wrong or can be undone is an error.

use crate::error::Error;
use crate::step::Step;
use crate::sys;
use caps::Capability;
use nix::errno::Errno;
use nix::unistd::{
    Gid, ResGid, ResUid, Uid, User, chdir, chroot, getgroups, getresgid, getresuid, seteuid, setgid,
    setgroups, setresgid, setresuid, setuid,
};

const ROOT_UID: Uid = Uid::from_raw(0);
const ROOT_GID: Gid = Gid::from_raw(0);
/// A directory that exists wherever /proc is mounted, needs no preparation, and into which nobody can put anything.
/// It is not quite empty: it tells the flags of this process's own descriptors, which the process knows.
const EMPTY: &str = "/proc/self/fdinfo";

/// Who the child becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Started with root's rights: this account, without supplementary groups.
    Account {
        /// The account's user id, never 0.
        uid: Uid,
        /// Its primary group, never 0.
        gid: Gid,
    },
    /// Started by an ordinary user: the user who started us, in every id.
    Invoker,
}

impl Identity {
    /// Chooses for this process. With an effective or real user id 0: `account` and its primary group.
    /// Anyone else: the invoking user, minus what a setuid or setgid bit gave.
    ///
    /// Asks the user database (getpwnam(3)), which opens files and may leave descriptors open:
    /// call it before closing what the child is not to inherit.
    ///
    /// # Errors
    /// [`Error::NoSuchAccount`], [`Error::Privileged`] if one of its ids is 0, [`Error::Refused`] if the
    /// database cannot be read, or root has not the capability to kill a process of the account's.
    pub fn choose(account: &str) -> Result<Self, Error> {
        if !Uid::effective().is_root() && !Uid::current().is_root() {
            return Ok(Self::Invoker);
        }
        let user = User::from_name(account)
            .map_err(Error::refused(Step::Account))?
            .ok_or_else(|| Error::NoSuchAccount { name: account.to_owned() })?;
        if user.uid.is_root() || user.gid == ROOT_GID {
            return Err(Error::Privileged);
        }
        // Without this right nobody could end a child that is another user's.
        let sets = sys::capabilities().map_err(Error::refused(Step::Capabilities))?;
        if sets.permitted & Capability::CAP_KILL.bitmask() == 0 && Uid::current() != user.uid {
            return Err(Error::Refused { step: Step::Capabilities, errno: Errno::EPERM });
        }
        Ok(Self::Account { uid: user.uid, gid: user.gid })
    }
}

/// The ids that a process had before it gave them up.
#[derive(Debug)]
pub(crate) struct Former {
    uids: ResUid,
    gids: ResGid,
    groups: Vec<Gid>,
}

/// A process started by root under another effective id still is root, without its capabilities in effect. Giving
/// up for good takes them: the effective id goes back to 0 first.
pub(crate) fn prepare(identity: &Identity) -> Result<(), Error> {
    match identity {
        Identity::Account { .. } if !Uid::effective().is_root() => {
            seteuid(ROOT_UID).map_err(Error::refused(Step::UserId))
        }
        Identity::Account { .. } | Identity::Invoker => Ok(()),
    }
}

/// Takes on `identity` in the real, effective and saved ids, and reads them back.
pub(crate) fn assume(identity: &Identity) -> Result<Former, Error> {
    let former = Former {
        uids: getresuid().map_err(Error::refused(Step::UserId))?,
        gids: getresgid().map_err(Error::refused(Step::GroupId))?,
        groups: getgroups().map_err(Error::refused(Step::Groups))?,
    };
    let (uid, gid) = match *identity {
        Identity::Account { uid, gid } => {
            // The variant can be built by hand, so the promise of `choose` is not relied upon.
            if gid == ROOT_GID {
                return Err(Error::Privileged);
            }
            chroot(EMPTY).map_err(Error::refused(Step::Root))?;
            chdir("/").map_err(Error::refused(Step::Root))?;
            setgroups(&[]).map_err(Error::refused(Step::Groups))?;
            (uid, gid)
        }
        Identity::Invoker => (former.uids.real, former.gids.real),
    };
    if uid.is_root() {
        return Err(Error::Privileged);
    }
    // Groups before the user: afterwards the right to change them is gone.
    setresgid(gid, gid, gid).map_err(Error::refused(Step::GroupId))?;
    setresuid(uid, uid, uid).map_err(Error::refused(Step::UserId))?;

    if getresuid() != Ok(ResUid { real: uid, effective: uid, saved: uid }) {
        return Err(Error::Ineffective { step: Step::UserId });
    }
    if getresgid() != Ok(ResGid { real: gid, effective: gid, saved: gid }) {
        return Err(Error::Ineffective { step: Step::GroupId });
    }
    let groups = getgroups().map_err(Error::refused(Step::Groups))?;
    let expected: &[Gid] = match identity {
        Identity::Account { .. } => &[],
        // An ordinary user's own groups cannot be given up, nor are they a privilege.
        Identity::Invoker => &former.groups,
    };
    if groups == expected { Ok(former) } else { Err(Error::Ineffective { step: Step::Groups }) }
}

/// Tries to become root, or what the process was, by every call that could do it. All must fail. To be called when the
/// capability sets are empty, so that it finds what is left beyond them: saved ids.
pub(crate) fn try_to_regain(former: &Former) -> Result<(), Error> {
    let (own_uid, own_gid) = (Uid::current(), Gid::current());
    let ResUid { real, effective, saved } = former.uids;
    let uids = [ROOT_UID, real, effective, saved];
    let back = uids
        .into_iter()
        .filter(|uid| *uid != own_uid)
        .any(|uid| setresuid(uid, uid, uid).is_ok() || setuid(uid).is_ok());

    let ResGid { real, effective, saved } = former.gids;
    let gids = [ROOT_GID, real, effective, saved];
    let back = back
        || gids
            .into_iter()
            .filter(|gid| *gid != own_gid)
            .any(|gid| setresgid(gid, gid, gid).is_ok() || setgid(gid).is_ok());

    // Needs CAP_SETGID whatever the list is, so success is wrong even when it would change nothing.
    if back || setgroups(&former.groups).is_ok() {
        return Err(Error::Ineffective { step: Step::Regain });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_given_up_can_be_regained() {
        let former =
            Former { uids: getresuid().unwrap(), gids: getresgid().unwrap(), groups: getgroups().unwrap() };
        // Root gets the groups it has, an ordinary user gets nothing.
        let expected =
            if Uid::effective().is_root() { Err(Error::Ineffective { step: Step::Regain }) } else { Ok(()) };
        assert_eq!(try_to_regain(&former), expected);
    }

    #[test]
    fn an_identity_of_root_is_refused_before_anything_changes() {
        let root = Identity::Account { uid: ROOT_UID, gid: ROOT_GID };
        assert_eq!(assume(&root).err(), Some(Error::Privileged));
    }
}
