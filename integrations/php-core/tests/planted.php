<?php

/** Secrets and persons, planted in paths, user agents, names of options and messages in every way of writing them. */

declare(strict_types=1);

namespace Logystera\Tests;

use Logystera\Redact;

/** What is planted, and what must not be seen of it. */
const PLANTED = [
    'jane@example.org' => ['jane', 'example'], 'jane.doe+x@example.org' => ['jane', 'doe'],
    'jane_doe@mail.example.co.uk' => ['jane', 'doe'],
    '555-123-4567' => ['4567'], '(555) 123-4567' => ['4567'], '+49-151-12345678' => ['5678'], '+1.555.123.4567' => ['4567'],
    '0049 151 1234567' => ['4567'], '555_123_4567' => ['4567'],
    '4111-1111-1111-1111' => ['1111'], '4111 1111 1111 1111' => ['1111'],
    '4111111111111111' => ['1111'], '4111.1111.1111.1111' => ['1111'], 'qzxkvbnmwrtplkjh' => ['qzxk', 'lkjh'],
    'wkqjzvxbhgfdrtpl' => ['wkqj'], 'a8f3k2m9x7q1w5z4' => ['a8f3', 'w5z4'], 'k3j9x2m7q4w8z1v5' => ['k3j9'], '9f86d081884c7d65' => ['9f86'],
    'kTbQwNzVrPfHcXmJdLsG' => ['kTbQ'], 'Kx-dQw_fRt4-b7Yh_Zs-p0Lm-Jv_g2Ne-Aq' => ['Jv_g2'], 'eyJhbGciOiJIUzI1NiIsInR5cCI6' => ['eyJh'],
    '203.0.113.9' => ['203.0.113'], '2001:db8::1' => ['db8::1'], '550e8400-e29b-41d4-a716-446655440000' => ['e29b'],
];
const NAMES = ['Jane Doe' => ['Jane', 'Doe'], 'Jane Mary Doe' => ['Mary'], 'jane doe' => ['jane'], "J\u{e4}ne D\u{f6}e" => ['ne D']];

/** Ways of writing a text into a path. */
function written(string $text): array
{
    $hex = static fn (string $s): string => '%' . implode('%', str_split(bin2hex($s), 2));
    $once = rawurlencode($text);
    $entities = str_replace('@', '&#64;', $text);
    return [$once, rawurlencode($once), rawurlencode(rawurlencode($once)), $hex($text), rawurlencode($hex($text)), rawurlencode($entities)];
}

/** The text with every layer of writing taken off. */
function bare(string $text): string
{
    for ($i = 0; $i < 12; $i++) {
        $text = html_entity_decode(rawurldecode($text), ENT_QUOTES | ENT_HTML5, 'UTF-8');
    }
    return $text;
}

/** Fails where something planted can be read. */
function hides(array $needles, string $shown, string $what): void
{
    foreach ($needles as $needle) {
        same(false, stripos(bare($shown), $needle), "$what: $shown");
    }
}

return [
    'nothing that is planted in a path can be read, however it is written' => static function (): void {
        $cases = 0;
        foreach (PLANTED + NAMES as $text => $needles) {
            foreach (written((string) $text) as $i => $writing) {
                foreach (["/p/$writing", "/p/$writing/edit", "/p//$writing;x=1", "/p/to:$writing", "/p/a%2F$writing"] as $path) {
                    hides($needles, Redact::path($path), "$text, writing $i");
                    $cases++;
                }
            }
        }
        $paths = [
            '/author//jane', '/author/./jane', '/author/%20/jane', '/author%2Fjane', '/Author/jane', '/%61uthor/jane',
            '/author%252Fjane', '/users/../jane', '/reset//jane/x', '/user=jane', '/member:jane', '//author///jane//page/2',
            '/author/jane%20', "/search/jane's+illness", '/p/Jane+Doe',
        ];
        foreach ($paths as $path) {
            hides(['jane'], Redact::path($path), $path);
            $cases++;
        }
        same(true, $cases >= 300, "only $cases cases");
    },

    'nor in the name of an option or a job' => static function (): void {
        foreach (PLANTED as $text => $needles) {
            foreach ([$text, rawurlencode((string) $text), rawurlencode(rawurlencode((string) $text))] as $writing) {
                foreach (["settings_$writing", "{$writing}_settings", "a/$writing/b", "user:$writing"] as $name) {
                    $shown = Redact::name($name);
                    hides($needles, $shown, $name);
                    same(1, preg_match('~^[0-9A-Za-z_.:/\\\\-]+$~D', $shown), $shown);
                }
            }
        }
        $plains = [
            'woocommerce_version', 'widget_text-2', 'theme_mods_twentytwentyfive', 'action_scheduler_run_queue', 'wp_version_check',
            'system.cron', 'core.extension', 'node.type.article', 'settings.hash_salt', 'queue:media_entity_thumbnail', 'job:run',
            'a_2024-05-17_b', 'x1.2.3',
        ];
        foreach ($plains as $plain) {
            same($plain, Redact::name($plain));
        }
    },

    'nor in a user agent' => static function (): void {
        foreach (PLANTED as $text => $needles) {
            foreach ([$text, rawurlencode((string) $text), rawurlencode(rawurlencode((string) $text))] as $writing) {
                foreach (["bot/1.0 (+$writing)", "$writing", "Mozilla/5.0 (contact: $writing; x)", "tel:$writing"] as $agent) {
                    // A client's name may hold an address of the network that its maker has.
                    if (filter_var($text, FILTER_VALIDATE_IP) === false) {
                        hides($needles, (string) Redact::userAgent($agent), $agent);
                    }
                }
            }
        }
        $plains = [
            'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
            'Googlebot/2.1 (+http://www.google.com/bot.html)', 'curl/8.5.0',
            'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.6613.137 Mobile Safari/537.36',
            'sqlmap/1.8.4#stable',
            'Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) '
                . 'AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1',
            'WordPress/6.8.2; https://example.org', 'python-requests/2.31.0', 'Mozilla/5.0 zgrab/0.x',
        ];
        foreach ($plains as $plain) {
            same($plain, Redact::userAgent($plain));
        }
    },

    'nor in a message' => static function (): void {
        foreach (['jane@example.org', 'jane%40example.org', 'jane%2540example.org', 'jane&#64;example.org'] as $mail) {
            hides(['jane', 'example'], Redact::message("mail to $mail failed"), $mail);
        }
        foreach (['555-123-4567', '4111 1111 1111 1111', 'a8f3k2m9x7q1w5z4', 'qzxkvbnmwrtplkjh'] as $text) {
            hides(PLANTED[$text], Redact::message("no record of $text here"), $text);
        }
    },

    'what is the site\'s own is shown' => static function (): void {
        $paths = [
            '/', '/wp-admin/admin-ajax.php', '/product/blue-t-shirt-xl/', '/2024/05/17/', '/2024-05-17-release-notes/',
            '/news/internationalization/', '/wp-content/uploads/2024/05/IMG_2034-1024x768.jpg', '/wp-includes/js/jquery/jquery.min.js',
            '/category/characteristics/page/12/', '/wp-json/wc/v3/products/1234', '/sitemap_index.xml',
            '/docs/v2.10.3/getting-started', '/core/modules/system/css/components/ajax-progress.module.css',
            '/Getting-Started-With-WordPress', '/wp-content/plugins/woocommerce/assets/client/blocks/cart-frontend.js',
            '/responsibilities', '/telecommunications-infrastructure', '/.env', '/wp-config.php.bak', '/cgi-bin/luci',
            '/%C3%BCber-uns/', '/a%20b', '/feed/rss2',
        ];
        foreach ($paths as $path) {
            same($path, Redact::path($path));
        }
    },
];
