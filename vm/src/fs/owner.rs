//! Users and groups of a root file system: `--chown`, `WORKDIR` and `USER`.
//!
//! Names are looked up in the tree's own `/etc/passwd` and `/etc/group`. The
//! rules differ. For files (`ops/user_linux.go` of BuildKit) a name that is
//! not found is 0. For processes (`moby/sys/user`, `GetExecUser`) it is an
//! error.

use std::io;
use std::sync::Arc;

use super::blobs::Blobs;
use super::forest::Forest;
use super::path::{Follow, PathError, locate};
use super::tree::{Node, Root};

/// As much of a user file as BuildKit reads.
const LIMIT: u64 = 10 << 20;

/// Why an owner or user cannot be resolved.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OwnerError {
    /// No such user.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// No such group.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// A number is no possible id.
    #[error("user or group id {0} is out of range (0 to 2147483647)")]
    OutOfRange(String),
    /// A name, but there is nothing to look it up in.
    #[error("cannot look up `{0}`: the file system is empty; use a number")]
    NothingToLookUp(String),
    /// A user file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which file.
        path: &'static str,
        /// Why.
        error: Arc<io::Error>,
    },
    /// A user file cannot be found for another reason than that it is missing.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one first.
    pub groups: Vec<u32>,
    /// Home directory, if the passwd file says.
    pub home: Option<String>,
}

struct Passwd {
    name: String,
    uid: i64,
    gid: i64,
    home: String,
}

struct Group {
    name: String,
    gid: i64,
    members: Vec<String>,
}

/// The user files of a tree; a missing file has no entries.
struct UserFiles<'a> {
    forest: &'a dyn Forest,
    blobs: &'a dyn Blobs,
    root: &'a Root,
}

impl UserFiles<'_> {
    fn read(&self, path: &'static str) -> Result<String, OwnerError> {
        let failed = |error| OwnerError::Read { path, error: Arc::new(error) };
        match locate(self.forest, self.root, path.as_bytes(), Follow::Last)?.entry.map(|e| e.node) {
            Some(Node::File(file)) => {
                let data = self.blobs.read_small(&file, LIMIT).map_err(failed)?;
                Ok(String::from_utf8_lossy(&data).into_owned())
            }
            Some(_) => Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))),
            None => Ok(String::new()),
        }
    }

    fn passwd(&self) -> Result<Vec<Passwd>, OwnerError> {
        let text = self.read("/etc/passwd")?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines
            .map(|line| {
                let mut f = line.split(':');
                let mut field = || f.next().unwrap_or_default().to_owned();
                let (name, _, uid, gid, _, home) = (field(), field(), field(), field(), field(), field());
                Passwd { name, uid: uid.parse().unwrap_or(0), gid: gid.parse().unwrap_or(0), home }
            })
            .collect())
    }

    fn groups(&self) -> Result<Vec<Group>, OwnerError> {
        let text = self.read("/etc/group")?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines
            .map(|line| {
                let mut f = line.split(':');
                let mut field = || f.next().unwrap_or_default().to_owned();
                let (name, _, gid, members) = (field(), field(), field(), field());
                let members = members.split(',').map(str::to_owned).collect();
                Group { name, gid: gid.parse().unwrap_or(0), members }
            })
            .collect())
    }
}

fn in_range(id: i64) -> Result<u32, OwnerError> {
    match u32::try_from(id) {
        Ok(n) if n <= i32::MAX.cast_unsigned() => Ok(n),
        _ => Err(OwnerError::OutOfRange(id.to_string())),
    }
}

/// Returns a number as an id, for files; `root` is one, too.
fn file_id(text: &str) -> Option<u32> {
    if text == "root" { Some(0) } else { text.parse::<i32>().ok().map(i32::cast_unsigned) }
}

/// Resolves `user[:group]` for files: a name that is not found is 0; without
/// a group, a name has its primary group and a number the same number.
///
/// # Errors
///
/// If a name is to be looked up in an empty tree (BuildKit: "invalid user
/// index"), or a user file cannot be read.
pub fn file_owner(forest: &dyn Forest, blobs: &dyn Blobs, root: &Root, owner: &str) -> Result<(u32, u32), OwnerError> {
    let files = UserFiles { forest, blobs, root };
    let empty =
        || -> Result<bool, OwnerError> { Ok(forest.dir(&root.dir.id).map_err(PathError::from)?.entries().is_empty()) };
    let (user, group) = match owner.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (owner, None),
    };
    let (uid, mut gid) = match file_id(user) {
        Some(id) => (id, id),
        None if empty()? => return Err(OwnerError::NothingToLookUp(user.to_owned())),
        None => match files.passwd()?.iter().find(|p| p.name == user) {
            Some(found) => (in_range(found.uid)?, in_range(found.gid)?),
            None => (0, 0),
        },
    };
    if let Some(group) = group {
        match file_id(group) {
            Some(id) => gid = id,
            None if empty()? => return Err(OwnerError::NothingToLookUp(group.to_owned())),
            None => {
                if let Some(found) = files.groups()?.iter().find(|g| g.name == group) {
                    gid = in_range(found.gid)?;
                }
            }
        }
    }
    Ok((uid, gid))
}

/// Resolves `user[:group]` for a process. Empty is root.
///
/// # Errors
///
/// If a name is not found, a number is out of range, or a user file cannot be
/// read.
pub fn exec_user(forest: &dyn Forest, blobs: &dyn Blobs, root: &Root, spec: &str) -> Result<User, OwnerError> {
    let files = UserFiles { forest, blobs, root };
    let spec_or_root = if spec.is_empty() { "0" } else { spec };
    let (user, group) = spec_or_root.split_once(':').unwrap_or((spec_or_root, ""));
    let (user_number, group_number) = (user.parse::<i64>().ok(), group.parse::<i64>().ok());
    if let (Some(uid), Some(gid)) = (user_number, group_number) {
        let (uid, gid) = (in_range(uid)?, in_range(gid)?);
        return Ok(User { uid, gid, groups: vec![gid], home: None });
    }

    // Nothing before `:` is user 0, as far as the passwd file has one.
    let wanted = user_number.or(user.is_empty().then_some(0));
    let entry = files.passwd()?.into_iter().find(|p| wanted.map_or(p.name == user, |uid| p.uid == uid));
    let (uid, mut gid) = match (&entry, wanted) {
        (Some(found), _) => (in_range(found.uid)?, in_range(found.gid)?),
        (None, Some(uid)) => (in_range(uid)?, 0),
        (None, None) => return Err(OwnerError::NoUser(user.to_owned())),
    };
    let mut extra = Vec::new();
    if !group.is_empty() {
        let found = files.groups()?.into_iter().find(|g| group_number.map_or(g.name == group, |gid| g.gid == gid));
        gid = match (found, group_number) {
            (Some(found), _) => in_range(found.gid)?,
            (None, Some(gid)) => in_range(gid)?,
            (None, None) => return Err(OwnerError::NoGroup(group.to_owned())),
        };
    } else if let Some(entry) = &entry {
        for found in files.groups()?.iter().filter(|g| g.members.contains(&entry.name)) {
            extra.push(in_range(found.gid)?);
        }
    }
    let mut groups = vec![gid];
    for id in extra {
        if !groups.contains(&id) {
            groups.push(id);
        }
    }
    Ok(User { uid, gid, groups, home: entry.map(|e| e.home).filter(|h| !h.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::{Sandbox, names};
    use crate::fs::{Editor, Entry, Meta};

    fn users(s: &Sandbox) -> Root {
        let mut e = Editor::new(&s.forest, &s.forest.empty()).unwrap();
        e.make_dirs(&names("/etc"), &Meta::default()).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n\
                      build:x:1001:1001::/home/build:/bin/sh\nsvc:x:1500:50::/srv:/bin/sh\n";
        let group = "root:x:0:root\nwheel:x:10:root,app\nstaff:x:50:app\napp:x:1000:\nextra:x:2000:app,build\n";
        e.set(&names("/etc/passwd"), s.file(passwd)).unwrap();
        e.set(&names("/etc/real"), s.file(group)).unwrap();
        let link = Entry { meta: Meta::default(), node: Node::Symlink(b"/etc/real".as_slice().into()) };
        e.set(&names("/etc/group"), link).unwrap();
        e.finish().unwrap()
    }

    #[test]
    fn owners_of_files() {
        let s = Sandbox::default();
        let root = users(&s);
        let owner = |text: &str| file_owner(&s.forest, &s.blobs, &root, text).unwrap();
        assert_eq!(owner("app:staff"), (1000, 50));
        assert_eq!(owner("build"), (1001, 1001));
        assert_eq!(owner("svc"), (1500, 50));
        assert_eq!(owner("1000"), (1000, 1000));
        assert_eq!(owner("4321"), (4321, 4321));
        assert_eq!(owner("123:456"), (123, 456));
        assert_eq!(owner("5:extra"), (5, 2000));
        assert_eq!(owner("root"), (0, 0));
        assert_eq!(owner("nobody-knows"), (0, 0), "an unknown name is 0");
        assert_eq!(owner("app:nobody-knows"), (1000, 1000));
    }

    #[test]
    fn owners_without_user_files() {
        let s = Sandbox::default();
        let owner = |root: &Root, text: &str| file_owner(&s.forest, &s.blobs, root, text);
        assert_eq!(owner(&s.forest.empty(), "7:8").unwrap(), (7, 8));
        assert_eq!(
            owner(&s.forest.empty(), "app").unwrap_err().to_string(),
            "cannot look up `app`: the file system is empty; use a number"
        );
        assert_eq!(owner(&s.tree("f /x x"), "app:app").unwrap(), (0, 0));
    }

    #[test]
    fn users_of_processes() {
        let s = Sandbox::default();
        let root = users(&s);
        let user = |text: &str| match exec_user(&s.forest, &s.blobs, &root, text) {
            Ok(u) => format!("{}:{} {:?} {}", u.uid, u.gid, u.groups, u.home.unwrap_or_default()),
            Err(e) => e.to_string(),
        };
        assert_eq!(user(""), "0:0 [0, 10] /root");
        assert_eq!(user("app"), "1000:1000 [1000, 10, 50, 2000] /home/app");
        assert_eq!(user("1001"), "1001:1001 [1001, 2000] /home/build");
        assert_eq!(user("app:staff"), "1000:50 [50] /home/app");
        assert_eq!(user("1234:50"), "1234:50 [50] ");
        assert_eq!(user("1234"), "1234:0 [0] ");
        assert_eq!(user("app:77"), "1000:77 [77] /home/app");
        assert_eq!(user("ghost"), "unable to find user ghost: no matching entries in passwd file");
        assert_eq!(user("app:ghosts"), "unable to find group ghosts: no matching entries in group file");
        assert_eq!(user("4294967295"), "user or group id 4294967295 is out of range (0 to 2147483647)");
    }
}
