//! What mail is sent with, as flags, the environment or a file name it.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use logystera_channels::email::server::{MailConfig, MailError};
use logystera_schemas::limits::MAIL_PASSWORD_BYTES_MAX;
use zeroize::Zeroizing;

/// The permissions of whoever is neither the owner nor of the group.
const ANYBODY: u32 = 0o007;

/// Flags of the commands that send mail themselves when no `logystera up` runs on the folder.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct MailArgs {
    /// Mail server, if no `up` runs on the folder: `smtp://USER@HOST:587`, `smtps://USER@HOST:465`, `smtp+plain://127.0.0.1:25`
    #[arg(long, value_name = "URL", env = "LOGYSTERA_SMTP")]
    smtp: Option<String>,
    /// File with the password of the mail server's user
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_SMTP_PASSWORD_FILE")]
    smtp_password_file: Option<PathBuf>,
    /// Whom mail comes from
    #[arg(long, value_name = "ADDRESS", env = "LOGYSTERA_MAIL_FROM")]
    mail_from: Option<String>,
}

impl MailArgs {
    /// What they name. None: no mail server.
    pub fn config(&self) -> Result<Option<MailConfig>, String> {
        mail(self.smtp.as_deref(), self.smtp_password_file.as_deref(), self.mail_from.as_deref())
    }
}

/// Reads what is named under these names. None: no mail server. The error says under which name it is wrong.
pub fn mail(
    server: Option<&str>,
    password_file: Option<&Path>,
    from: Option<&str>,
) -> Result<Option<MailConfig>, String> {
    let (server, from) = match (server, from) {
        (Some(server), Some(from)) => (server, from),
        (None, None) if password_file.is_none() => return Ok(None),
        (None, _) => return Err("smtp is missing: mail-from and smtp-password-file belong to a mail server".to_owned()),
        (Some(_), None) => return Err("mail-from is missing: whom mail comes from".to_owned()),
    };
    let password = password_file.map(password).transpose()?;
    let config = MailConfig::new(server, password.as_ref().map(|text| text.as_str()), from);
    config.map(Some).map_err(|error| {
        let name = match error {
            MailError::Server | MailError::PasswordInAddress | MailError::PlainAbroad => "smtp",
            MailError::UserAndPassword => "smtp, smtp-password-file",
            MailError::From => "mail-from",
        };
        format!("{name}: {error}")
    })
}

/// The file may be a link, as those of Kubernetes' secrets are.
fn password(path: &Path) -> Result<Zeroizing<String>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("smtp-password-file: {}: {why}", path.display());
    let about = std::fs::metadata(path).map_err(|error| wrong(&error))?;
    if !about.is_file() {
        return Err(wrong(&"not a file"));
    }
    if about.permissions().mode() & ANYBODY != 0 {
        return Err(wrong(&"anybody on this machine may read it: chmod 0600"));
    }
    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path).map_err(|error| wrong(&error))?;
    file.take(MAIL_PASSWORD_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| wrong(&error))?;
    match text.trim_end().len() as u64 {
        0 => Err(wrong(&"it is empty")),
        bytes if bytes > MAIL_PASSWORD_BYTES_MAX => Err(wrong(&"too long for a password")),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_named_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "s3cret\n").unwrap();
        let allow = |file: &Path, mode| std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        allow(&file, 0o640);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let [open, empty, long] = ["open", "empty", "long"].map(|name| dir.path().join(name));
        for (file, text) in [(&open, "s3cret"), (&empty, "\n"), (&long, &*"x".repeat(5_000))] {
            std::fs::write(file, text).unwrap();
            allow(file, if *file == open { 0o644 } else { 0o600 });
        }
        let missing = dir.path().join("missing");
        let (server, from) = (Some("smtp://me@mail.example.com"), Some("alerts@example.com"));
        assert!(mail(None, None, None).unwrap().is_none());
        let made = mail(server, Some(&file), from).unwrap().unwrap();
        assert_eq!(made.password.as_ref().map(|p| p.as_str()), Some("s3cret"));
        assert!(mail(server, Some(&link), from).unwrap().is_some(), "a link is followed");
        for (server, password, from, says) in [
            (server, Some(&*open), from, "smtp-password-file: "),
            (server, Some(&*empty), from, "smtp-password-file: "),
            (server, Some(&*long), from, "smtp-password-file: "),
            (server, Some(dir.path()), from, "smtp-password-file: "),
            (None, None, from, "smtp is missing"),
            (None, Some(&*file), None, "smtp is missing"),
            (server, Some(&*file), None, "mail-from is missing"),
            (server, None, from, "smtp, smtp-password-file: a user and a password belong together"),
            (server, Some(&*missing), from, "smtp-password-file: "),
            (server, Some(&*file), Some("alerts"), "mail-from: expected a mail address"),
            (Some("mail.example.com"), None, from, "smtp: expected smtp://"),
            (Some("smtp://me:secret@mail.example.com"), None, from, "smtp: a password does not belong"),
        ] {
            let error = mail(server, password, from).unwrap_err();
            assert!(error.starts_with(says) && !error.contains("s3cret"), "{error}");
        }
    }
}
