//! Files that belong to an installation alone: regular ones, readable by their owner only. What stands in their place is never
//! followed, waited for or written through.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Mode of every file that we make.
const MODE: u32 = 0o600;

/// Opens a file as `options` say, and refuses by name what is no regular file. It neither follows a link nor waits for the other end
/// of a FIFO. A file that it makes is its owner's alone.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let opened = options.mode(MODE).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Err(irregular(path).map_or(error, refused)),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused(irregular(path).unwrap_or("no regular file"))) }
}

/// Opens a file for reading. As [`open`].
pub fn open_for_reading(path: &Path) -> io::Result<File> {
    open(path, File::options().read(true))
}

/// Makes a file that is not there, readable and writable by its owner alone whatever the umask is.
pub fn create_new(path: &Path) -> io::Result<File> {
    let file = open(path, File::options().read(true).write(true).create_new(true))?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

/// Name of this machine. Empty: Linux says it, elsewhere all machines look alike.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Removes a file that we may have left half done; a link there is removed, not followed.
pub fn remove_leftover(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names of the files in a folder durable.
pub fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// What stands at `path`, if that is no regular file.
fn irregular(path: &Path) -> Option<&'static str> {
    let kind = std::fs::symlink_metadata(path).ok()?.file_type();
    Some(match kind {
        kind if kind.is_file() => return None,
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    })
}

fn refused(kind: &str) -> io::Error {
    let way_out = "only a regular file may be there: take it away, or put the file itself in its place";
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}; {way_out}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("target"), "here").unwrap();
        symlink(path("target"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        for (name, says) in [
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("folder", "a folder"),
            ("socket", "a socket"),
            ("fifo", "a FIFO"),
        ] {
            let reading = open_for_reading(&path(name)).unwrap_err();
            let writing = open(&path(name), File::options().read(true).write(true).create(true)).unwrap_err();
            for error in [reading, writing] {
                assert!(error.to_string().starts_with(&format!("it is {says}; ")), "{name}: {error}");
            }
        }
        assert!(!path("nowhere").exists() && open_for_reading(&path("target")).is_ok());
        assert_eq!(open_for_reading(&path("nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(create_new(&path("target")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);

        let mode = |file: &File| file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&create_new(&path("new")).unwrap()), MODE);
        remove_leftover(&path("link")).unwrap();
        remove_leftover(&path("link")).unwrap();
        assert!(path("target").exists() && std::fs::symlink_metadata(path("link")).is_err());
    }
}
