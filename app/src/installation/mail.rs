//! What mail is sent with, as flags, the environment or a file name it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use logystera_alerter::channels::email::server::{MailConfig, MailError};
use logystera_infra::files;
use zeroize::Zeroizing;

/// Bytes of a password's file that are looked at.
const PASSWORD_BYTES_MAX: u64 = 4 << 10;

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

fn password(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let read = files::open_for_reading(path).and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| format!("smtp-password-file: {}: {error}", path.display()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_named_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "s3cret\n").unwrap();
        let missing = dir.path().join("missing");
        let (server, from) = (Some("smtp://me@mail.example.com"), Some("alerts@example.com"));
        assert!(mail(None, None, None).unwrap().is_none());
        let made = mail(server, Some(&file), from).unwrap().unwrap();
        assert_eq!(made.password.as_ref().map(|p| p.as_str()), Some("s3cret"));
        for (server, password, from, says) in [
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
