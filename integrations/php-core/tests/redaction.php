<?php

/** What is left of texts that strangers wrote. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Redact;

return [
    'a path keeps what is of the site' => static function (): void {
        $plain = [
            '/', '/wp-login.php', '/wp-content/plugins/akismet/_inc/akismet.js',
            '/2015/05/17/a-post-with-a-long-title/', '/images/jordan-80.png', '/blog/tags/puppet', '/a%20b', '//x',
            '/files/logstash-1.1.9-monolithic.jar', '/v1.2.3.tar.gz', '/wp-json/wp/v2/posts/17', '/users/',
            '/A-Title-With-Capitals-Of-2024', '/a_file-name-that-is-rather-long-2024.html',
            '/presentations/logstash-puppetconf-2012/images/office-space-printer-beat-down-gif.gif',
        ];
        foreach ($plain as $path) {
            same($path, Redact::path($path));
        }
    },

    'a path hides persons, tokens, addresses and one-time links' => static function (): void {
        $cases = [
            '/reset/9f86d081884c7d659a2feaa0c55ad015' => '/reset/*',
            '/verify/eyJhbGciOiJIUzI1NiIsInR5cCI6/now' => '/verify/*/*',
            '/r/eyJhbGciOiJIUzI1NiIsInR5cCI6/now' => '/r/*/now',
            '/x/kTbQwNzVrPfHcXmJdLsG' => '/x/*', // a key of WordPress without a digit
            '/x/Kx-dQw_fRt4-b7Yh_Zs-p0Lm-Jv_g2Ne-Aq' => '/x/*', // Base64 for URLs, in short runs
            '/order/550e8400-e29b-41d4-a716-446655440000' => '/order/*',
            '/blog/alice@example.org/edit' => '/blog/*/edit',
            '/blog/alice%40example.org' => '/blog/*',
            '/ban/203.0.113.9' => '/ban/*',
            '/ban/2001:db8::1' => '/ban/*',
            '/call/004915112345678' => '/call/*',
            '/f/0123456789abcdef.pdf' => '/f/*',
            '/author/alice/page/2' => '/author/*/*/*',
            '/search/my+illness/' => '/search/*/',
            '/reset-password/short/alice/' => '/reset-password/*/*/',
            '/wp-json/wp/v2/users/alice' => '/wp-json/wp/v2/users/*',
            '/s?q=hunter2' => '/s', '/s;jsessionid=1' => '/s', '/s#f@g' => '/s', '?q' => '/*',
            'http://example.org/a?b' => '/a', 'http://example.org' => '/', '' => '/*', '*' => '/*',
            "/caf\u{e9}\u{1}" => '/caf___',
        ];
        foreach ($cases as $target => $expected) {
            same($expected, Redact::path((string) $target), (string) $target);
        }
        same('/' . str_repeat('a/', 127) . 'a', Redact::path('/' . str_repeat('a/', 200)));
    },

    'a user agent keeps its product' => static function (): void {
        same('Mozilla/5.0 (X11; Linux x86_64)', Redact::userAgent('Mozilla/5.0 (X11; Linux x86_64)'));
        same('bot/1 * )', Redact::userAgent('bot/1 (+mailto:a@example.org )'));
        same('a b', Redact::userAgent("a\r\n\u{e9} b"));
        same(null, Redact::userAgent(''));
        same('x *', Redact::userAgent('x 9f86d081884c7d659a2feaa0c55ad015'));
        same(256, strlen((string) Redact::userAgent(str_repeat('abc ', 100))));
    },

    'a message keeps its shape' => static function (): void {
        $cases = [
            'Undefined variable $secret' => 'Undefined variable $secret',
            'Undefined array key "hunter2"' => 'Undefined array key ?',
            "Cannot open '/srv/www/x.php': no" => 'Cannot open ?: no',
            'include(/srv/www/secret/x.php): failed' => 'include(<path>): failed',
            'mail to alice@example.org failed' => 'mail to ? failed',
            'Allowed memory size of 134217728 bytes exhausted' => 'Allowed memory size of 0 bytes exhausted',
            "Uncaught Error: x in /a/b.php:3\nStack trace:\n#0 login('alice', 'pw')" => 'Uncaught Error: x in <path>:0',
        ];
        foreach ($cases as $message => $expected) {
            same($expected, Redact::message($message));
        }
    },

    'a query keeps its shape' => static function (): void {
        $cases = [
            "SELECT * FROM wp_users WHERE user_login = 'ali''ce' AND id = 17" => 'SELECT * FROM wp_users WHERE user_login = ? AND id = ?',
            'INSERT INTO t VALUES (1, "a\\"b", 0xff)' => 'INSERT INTO t VALUES (?)',
            "SELECT 'cut off hunter2" => 'SELECT ?',
            "SELECT /* hunter2 */ 1 -- hunter2\n FROM t # hunter2" => 'SELECT ? FROM t',
        ];
        foreach ($cases as $sql => $expected) {
            same($expected, Redact::query($sql));
        }
    },

    'a name that is plain at a glance has nothing that the long way would hide' => static function (): void {
        $plain = (new \ReflectionClass(Redact::class))->getMethod('plainName');
        $plain->setAccessible(true);
        $parts = ['a', 'f', 'option', 'configuration', 'notificationsettings', 'deadbeefcafe', 'abcdefab', '-abcd-', 'x1y2z3', '9', '17',
            '2024', '192', '168', '12345678', '.', '.', '_', '-', '/', '\\', ':', '::1', '@', '%', '%41', '&amp;', ' ', '+', 'A', 'aB',
            "\u{e9}", "\n"];
        mt_srand(7);
        $rare = ['ban_192.0.2.7', 'of_abcdefab-abcd-abcd-abcd-deadbeefcafe'];
        for ($i = 0; $i < 100000; $i++) {
            $name = $rare[$i] ?? '';
            for ($length = $name === '' ? mt_rand(1, 9) : 0; $length > 0; $length--) {
                $name .= $parts[mt_rand(0, count($parts) - 1)];
            }
            same($plain->invoke(null, $name), Redact::name($name), $name);
        }
    },

    'names, slugs and versions fit the catalogue' => static function (): void {
        same('my_plugin/job:run', Redact::name('my plugin/job:run'));
        same('session_token', Redact::name('session_9f86d081884c7d659a2feaa0c55ad015'));
        same('a-b', Redact::slug(' a b '));
        same('other', Redact::slug('@'));
        same('1.0-beta', Redact::version(' 1.0 beta '));
        same(null, Redact::version(null));
    },
];
