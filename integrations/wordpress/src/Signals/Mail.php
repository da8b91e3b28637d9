<?php

declare(strict_types=1);

namespace Logystera\WordPress\Signals;

use Logystera\WordPress\Emitter;
use Logystera\WordPress\Guard;

/** What became of each mail that went through wp_mail. */
final class Mail implements Source
{
    /** Patterns of PHPMailer's messages, the first that fits wins. */
    private const ERRORS = [
        '/authenticat/i' => 'auth', '/time[d ]?\s*out/i' => 'timeout', '/connect|network|host/i' => 'connect',
        '/recipients? failed|not accepted|rejected|data not accepted|from address failed/i' => 'rejected',
    ];
    private const TRANSPORTS = ['smtp' => 'smtp', 'mail' => 'mail', 'sendmail' => 'other', 'qmail' => 'other'];

    /** @var Emitter */
    private $emitter;
    /** @var string|null */
    private $transport = null;

    public function __construct(Emitter $emitter)
    {
        $this->emitter = $emitter;
    }

    public function register(): void
    {
        Guard::watch('pre_wp_mail', [$this, 'begin'], PHP_INT_MAX, 2);
        Guard::watch('phpmailer_init', [$this, 'prepared'], PHP_INT_MAX);
        Guard::watch('wp_mail_succeeded', [$this, 'sent']);
        Guard::watch('wp_mail_failed', [$this, 'failed']);
    }

    public function finish(): void
    {
    }

    /**
     * Whoever answers in WordPress's place has sent the mail, or has not: only they know.
     *
     * @param mixed $instead
     * @param mixed $mail
     */
    public function begin($instead, $mail = [])
    {
        $this->transport = null;
        if ($instead !== null) {
            $this->tell('skipped', 'other', null, is_array($mail) ? $mail : []);
        }
        return $instead;
    }

    /** @param mixed $mailer */
    public function prepared($mailer): void
    {
        $name = is_object($mailer) && isset($mailer->Mailer) ? strtolower((string) $mailer->Mailer) : '';
        $this->transport = self::TRANSPORTS[$name] ?? 'other';
    }

    /** @param mixed $mail */
    public function sent($mail): void
    {
        $this->tell('sent', $this->transport, null, is_array($mail) ? $mail : []);
    }

    /** @param mixed $error */
    public function failed($error): void
    {
        $class = 'other';
        $message = is_wp_error($error) ? $error->get_error_message() : '';
        foreach (self::ERRORS as $pattern => $name) {
            if (preg_match($pattern, $message) === 1) {
                $class = $name;
                break;
            }
        }
        $data = is_wp_error($error) ? $error->get_error_data() : [];
        $this->tell('failed', $this->transport, $class, is_array($data) ? $data : []);
    }

    private function tell(string $outcome, ?string $transport, ?string $class, array $mail): void
    {
        $to = $mail['to'] ?? [];
        $recipients = is_array($to) ? $to : explode(',', (string) $to);
        $this->emitter->emit([
            'outcome' => $outcome, 'transport' => $transport, 'error_class' => $class,
            'recipients' => count(array_filter($recipients, static fn ($r): bool => is_string($r) && trim($r) !== '')),
        ]);
    }
}
