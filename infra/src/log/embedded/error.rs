//! Why a data folder cannot be used, each with the way out.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use logystera_schemas::text::Shown;

/// What to do about a data file that is damaged.
pub(super) const DAMAGED_HINT: &str = "stop what uses it, set it and the files beside it aside, and put it back from a backup, with its \
                                       master.key: docs/running.md, \"The data folder\"";
/// Names of a folder's files that are listed at most.
const LISTED_MAX: usize = 5;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to it.
    #[error(
        "the folder {} is in use by another logystera{}; stop that one, or name another folder with --data",
        dir.display(), pid.map_or(String::new(), |p| format!(" (process {p})"))
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// The other process, if it said.
        pid: Option<u32>,
    },
    /// A newer binary wrote it.
    #[error(
        "the folder {} holds data of format {found}; this binary knows formats up to {known}: \
         use the newer logystera that wrote it",
        dir.display()
    )]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// Format of the data.
        found: u32,
        /// Newest format that this binary knows.
        known: u32,
    },
    /// There is no data there. Only if the caller does not create it.
    #[error(
        "the folder {} holds no data ({found}); name the right one with --data, or make an installation there: \
         logystera up --data {}",
        dir.display(), dir.display()
    )]
    NoData {
        /// The folder.
        dir: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// Its data is gone, and other files of an installation are still there.
    #[error(
        "{} {how}, though {beside} is there: the data of this installation is gone. Put it back from a backup, or name another \
         folder with --data to begin anew",
        path.display()
    )]
    Lost {
        /// The data file.
        path: PathBuf,
        /// How it is: missing, or empty.
        how: &'static str,
        /// What says that there was data.
        beside: &'static str,
    },
    /// It is missing, and another database is there, such as a backup that has its own name.
    #[error(
        "{} is missing, though {} is there: if that is this installation's data, give it that name; else take it away",
        path.display(), found.display()
    )]
    Misnamed {
        /// The data file.
        path: PathBuf,
        /// What is there.
        found: PathBuf,
    },
    /// The file is not one of ours.
    #[error("{} is a database, but none of Logystera's; name another folder with --data", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// This user may not read or write it.
    #[error(
        "{}: this user may not use it{}; run this as the user that the installation belongs to, or name another folder with --data",
        path.display(), owner.map_or(String::new(), |uid| format!(": it belongs to the user {uid}"))
    )]
    Forbidden {
        /// What could not be used.
        path: PathBuf,
        /// Number of its owner, if that can be seen.
        owner: Option<u32>,
    },
    /// The folder is not there, and this user may not make it.
    #[error(
        "the folder {} is not there, and cannot be made: this user may not write to {}{}; make it as one who may, and give it to this \
         user (chown), or name another folder with --data",
        dir.display(), parent.display(), owner.map_or(String::new(), |uid| format!(", which belongs to the user {uid}"))
    )]
    Unmakable {
        /// The folder.
        dir: PathBuf,
        /// Where it would be made.
        parent: PathBuf,
        /// Number of the owner of `parent`, if it can be seen.
        owner: Option<u32>,
    },
    /// What is named as the folder is something else.
    #[error(
        "{} is a file, not a folder; --data names the folder that the data lies in{}", path.display(),
        folder_of(path).map_or(String::new(), |dir| format!(": {}", dir.display()))
    )]
    NoFolder {
        /// What is there.
        path: PathBuf,
    },
    /// The data file is damaged, or was never a database.
    #[error("{} is damaged ({what}); {DAMAGED_HINT}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
    /// The folder or a file in it cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its data ends before what was acknowledged.
    #[error(
        "the data of {} was put back to an earlier state, or lost its end: topic {topic} ends at {found}, and was acknowledged up to \
         {acknowledged}. Senders will not send the difference again, and numbers of alerts would be given twice. Put the newer data \
         back (with its -wal file), or say that what is missing is given up: logystera up --accept-rollback --data {}",
        dir.display(), dir.display()
    )]
    RolledBack {
        /// The folder.
        dir: PathBuf,
        /// A topic of which something is missing.
        topic: &'static str,
        /// Where it ends.
        found: u64,
        /// Where it ended when it was last marked.
        acknowledged: u64,
    },
    /// The disk is so full that the data cannot be opened.
    #[error("{}: the disk is full; make room and try again", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// SQLite refuses the file.
    #[error("{}: {what}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
}

/// The folder of a data file that was named itself.
fn folder_of(path: &Path) -> Option<&Path> {
    let dir = path.parent().filter(|_| path.ends_with(super::tables::DATA_FILE))?;
    Some(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
}

impl OpenError {
    /// The error of making a folder, or what stands in its place.
    pub(super) fn making(dir: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AlreadyExists {
            return Self::NoFolder { path: dir.to_owned() };
        }
        match Self::io(dir, source) {
            Self::Forbidden { path, owner } if path != dir => {
                Self::Unmakable { dir: dir.to_owned(), parent: path, owner }
            }
            error => error,
        }
    }

    /// Of an error of the file system.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotADirectory
            && let Some(file) = path.ancestors().find(|p| p.symlink_metadata().is_ok())
        {
            return Self::NoFolder { path: file.to_owned() };
        }
        if source.kind() != io::ErrorKind::PermissionDenied {
            return Self::Io { path: path.to_owned(), source };
        }
        // A file in a folder that may not be entered can't be looked at: its folder is named, which can.
        let seen = path.ancestors().find_map(|p| Some((p.to_owned(), std::fs::symlink_metadata(p).ok()?.uid())));
        match seen {
            Some((path, owner)) => Self::Forbidden { path, owner: Some(owner) },
            None => Self::Forbidden { path: path.to_owned(), owner: None },
        }
    }

    /// That `dir` holds no data, and what it holds instead.
    pub(super) fn no_data(dir: &Path) -> Self {
        let found = match std::fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => "it is not there".to_owned(),
            Err(error) => return Self::io(dir, error),
            Ok(entries) => {
                let mut names: Vec<String> =
                    entries.flatten().map(|e| Shown(&e.file_name().to_string_lossy()).to_string()).collect();
                names.sort_unstable();
                let more = names.len().saturating_sub(LISTED_MAX);
                names.truncate(LISTED_MAX);
                match (names.is_empty(), more) {
                    (true, _) => "it is empty".to_owned(),
                    (false, 0) => format!("it has {}", names.join(", ")),
                    (false, more) => format!("it has {} and {more} more", names.join(", ")),
                }
            }
        };
        Self::NoData { dir: dir.to_owned(), found }
    }
}
