<?php

/**
 * The rules of the integrations' PHP that a linter of style does not know: what PHP 7.4 can read, names with our prefix, escaping
 * of what is shown, and a right and a nonce for each action. Those of the Drupal module are in drupal_rules.php.
 *
 *   php tests/integrations/rules.php           checks integrations/
 *   php tests/integrations/rules.php --planted demands that each planted fault is found
 *
 * PHP 7.4 itself reads every file and runs the core's tests where it can be had. Where not, these checks stand for its `php -l`, as far as
 * tokens tell; what it lacks at run time (functions of 8.0) only they find outside of the core.
 */

declare(strict_types=1);

namespace Logystera\Rules;

require __DIR__ . '/drupal_rules.php';

const NEWER_FUNCTIONS = [
    'str_contains', 'str_starts_with', 'str_ends_with', 'array_is_list', 'get_debug_type', 'fdiv', 'fsync', 'fdatasync', 'enum_exists',
    'get_resource_id', 'preg_last_error_msg', 'array_find', 'array_any', 'array_all', 'json_validate', 'mb_str_pad', 'str_increment',
];
const ESCAPES = [
    'esc_html', 'esc_attr', 'esc_url', 'esc_textarea', 'esc_html__', 'esc_attr__', 'checked', 'selected', 'wp_kses', 'absint',
];
const OPTION_FUNCTIONS = [
    'get_option', 'update_option', 'add_option', 'delete_option', 'set_transient', 'get_transient', 'delete_transient',
    'do_action', 'apply_filters', 'define', 'wp_schedule_event', 'wp_next_scheduled', 'wp_clear_scheduled_hook',
];
const INPUTS = ['$_GET', '$_POST', '$_REQUEST', '$_COOKIE', '$_SERVER', '$_FILES'];

/** Tokens without white space, each [id or null, text, line]; comments stay. */
function tokens(string $source): array
{
    $line = 1;
    $found = [];
    foreach (token_get_all($source) as $token) {
        $text = is_array($token) ? $token[1] : $token;
        $line = is_array($token) ? $token[2] : $line;
        if (!is_array($token) || $token[0] !== T_WHITESPACE) {
            $found[] = [is_array($token) ? $token[0] : null, $text, $line];
        }
        $line += substr_count($text, "\n");
    }
    return $found;
}

/** What PHP 7.4 cannot read or does not have. */
function newer(string $path, array $tokens): array
{
    $names = [
        'T_MATCH' => 'match', 'T_ENUM' => 'enum', 'T_READONLY' => 'readonly', 'T_ATTRIBUTE' => 'an attribute',
        'T_NULLSAFE_OBJECT_OPERATOR' => '?->', 'T_NAME_FULLY_QUALIFIED' => null,
    ];
    $found = [];
    foreach ($tokens as $i => [$id, $text, $line]) {
        $before = $tokens[$i - 1][1] ?? '';
        $after = $tokens[$i + 1][1] ?? '';
        $name = $id === null ? null : ($names[token_name($id)] ?? null);
        if ($name !== null) {
            $found[] = "$path:$line: $name is not in PHP 7.4";
        }
        $isCall = $id === T_STRING && $after === '(' && !in_array($before, ['->', '::', 'function', 'new'], true);
        if ($isCall && in_array($text, NEWER_FUNCTIONS, true)) {
            $found[] = "$path:$line: $text() is not in PHP 7.4";
        }
        if ($text === '...' && $after === ')') {
            $found[] = "$path:$line: a callable made with (...) is not in PHP 7.4";
        }
        if ($id === T_CATCH && !in_array(T_VARIABLE, array_column(array_slice($tokens, $i, 8), 0), true)) {
            $found[] = "$path:$line: catch without a variable is not in PHP 7.4";
        }
        if ($id === T_STRING && $after === ':' && ($tokens[$i + 2][1] ?? '') !== ':' && in_array($before, ['(', ','], true)) {
            $found[] = "$path:$line: a named argument is not in PHP 7.4";
        }
        if (in_array($id, [T_FUNCTION, T_FN], true)) {
            $found = array_merge($found, parameters($path, $tokens, $i));
        }
        if ($id === T_THROW && in_array($before, ['?', ':', '??', '=>'], true)) {
            $found[] = "$path:$line: throw within an expression is not in PHP 7.4";
        }
    }
    return $found;
}

/** The same within a list of parameters and the return type behind it. */
function parameters(string $path, array $tokens, int $i): array
{
    while (($tokens[$i][1] ?? '(') !== '(') {
        $i++;
    }
    [$depth, $found] = [0, []];
    for (; isset($tokens[$i]); $i++) {
        [$id, $text, $line] = $tokens[$i];
        $depth += $text === '(' ? 1 : ($text === ')' ? -1 : 0);
        if ($depth === 1 && in_array($id, [T_PUBLIC, T_PRIVATE, T_PROTECTED], true)) {
            $found[] = "$path:$line: a promoted property is not in PHP 7.4";
        }
        if ($depth === 1 && $text === '|') {
            $found[] = "$path:$line: a union type is not in PHP 7.4";
        }
        if ($depth === 1 && $text === ',' && ($tokens[$i + 1][1] ?? '') === ')') {
            $found[] = "$path:$line: a comma behind the last parameter is not in PHP 7.4";
        }
        if ($depth === 0) {
            break;
        }
    }
    for ($i++; isset($tokens[$i]) && !in_array($tokens[$i][1], ['{', ';', '=>', ',', ')'], true); $i++) {
        [, $text, $line] = $tokens[$i];
        if ($text === '|') {
            $found[] = "$path:$line: a union type is not in PHP 7.4";
        } elseif (in_array($text, ['mixed', 'static', 'never', 'false', 'null'], true)) {
            $found[] = "$path:$line: the return type $text is not in PHP 7.4";
        }
    }
    return $found;
}

/** Names that other plugins could have, too. */
function prefixes(string $path, array $tokens, string $source): array
{
    $found = [];
    if (strpos($source, 'namespace Logystera') === false && preg_match('/^(?:abstract |final )?(?:class|function|interface) /m', $source) === 1) {
        $found[] = "$path:1: what it defines is in no namespace of ours";
    }
    foreach ($tokens as $i => [$id, $text, $line]) {
        $isCall = $id === T_STRING && in_array($text, OPTION_FUNCTIONS, true) && ($tokens[$i + 1][1] ?? '') === '(';
        [$kind, $name] = $tokens[$i + 2] ?? [null, ''];
        $isOurs = preg_match('/^[\'"](logystera_|LOGYSTERA_|doing_cron)/', $name) === 1;
        if ($isCall && $kind === T_CONSTANT_ENCAPSED_STRING && !$isOurs && ($tokens[$i - 1][1] ?? '') !== 'function') {
            $found[] = "$path:$line: $text($name) lacks our prefix";
        }
    }
    return $found;
}

/** What is shown without being escaped. */
function escapes(string $path, array $tokens): array
{
    $found = [];
    foreach ($tokens as $i => [$id]) {
        if ($id !== T_ECHO && $id !== T_PRINT && $id !== T_OPEN_TAG_WITH_ECHO) {
            continue;
        }
        $calls = [];
        for ($j = $i + 1; isset($tokens[$j]) && $tokens[$j][1] !== ';' && $tokens[$j][0] !== T_CLOSE_TAG; $j++) {
            [$kind, $text, $line] = $tokens[$j];
            if ($text === '(') {
                $calls[] = $tokens[$j - 1][0] === T_STRING ? $tokens[$j - 1][1] : '';
            } elseif ($text === ')') {
                array_pop($calls);
            } elseif ($kind === T_VARIABLE && array_intersect($calls, ESCAPES) === []) {
                $found[] = "$path:$line: $text is shown and not escaped";
            } elseif ($kind === T_STRING && ($tokens[$j + 1][1] ?? '') === '(' && array_intersect(array_merge($calls, [$text]), ESCAPES) === []) {
                $found[] = "$path:$line: what $text() gives is shown and not escaped";
            }
        }
    }
    return $found;
}

/** The bodies of functions by name. */
function bodies(array $tokens): array
{
    $bodies = [];
    foreach ($tokens as $i => [$id]) {
        $name = $tokens[$i + 1][1] ?? '';
        if ($id !== T_FUNCTION || $name === '(') {
            continue;
        }
        for ($j = $i; isset($tokens[$j]) && $tokens[$j][1] !== '{' && $tokens[$j][1] !== ';'; $j++) {
        }
        [$depth, $body] = [0, []];
        for (; isset($tokens[$j]); $j++) {
            $depth += in_array($tokens[$j][1], ['{', '${'], true) ? 1 : ($tokens[$j][1] === '}' ? -1 : 0);
            $body[] = $tokens[$j];
            if ($depth <= 0) {
                break;
            }
        }
        $bodies[$name] = $body;
    }
    return $bodies;
}

/** Hooks that are called without the guard: a fault of ours would end somebody's page. Our own requests have none to end. */
function unguarded(string $path, array $tokens): array
{
    $found = [];
    foreach ($tokens as $i => [$id, $text, $line]) {
        $isHook = $id === T_STRING && in_array($text, ['add_action', 'add_filter'], true) && ($tokens[$i + 1][1] ?? '') === '(';
        $isOwn = preg_match('/^[\'"]?(wp_ajax_|admin_post_logystera)/', ($tokens[$i + 2][1] ?? '') . ($tokens[$i + 3][1] ?? '')) === 1;
        if ($isHook && !$isOwn && preg_match('~/Guard\.php$~D', $path) !== 1) {
            $found[] = "$path:$line: $text() is not guarded: use Guard::watch() or Guard::filter()";
        }
    }
    return $found;
}

/** Actions without a right or a nonce, and input that nobody vouches for. */
function guards(string $path, array $tokens, string $source): array
{
    $found = [];
    $bodies = bodies($tokens);
    $text = static fn (array $body): string => implode(' ', array_column($body, 1));
    if (preg_match('/const ACTIONS = \[([^\]]*)\]/', $source, $m) === 1) {
        preg_match_all('/\w+/', $m[1], $names);
        foreach ($names[0] as $name) {
            if (strpos($text($bodies[$name] ?? []), "{ self :: demandRight ( '$name' ) ;") !== 0) {
                $found[] = "$path:1: action $name does not begin with its right and its nonce";
            }
        }
        foreach (['current_user_can', 'check_admin_referer'] as $check) {
            if (strpos($text($bodies['demandRight'] ?? []), $check) === false) {
                $found[] = "$path:1: demandRight does not ask $check";
            }
        }
    }
    foreach ($bodies as $name => $body) {
        $isVouchedFor = preg_match('/demandRight|wp_verify_nonce|hash_equals|phpcs:(ignore|disable)[\\w., ]* --/', $text($body)) === 1;
        foreach ($body as [, $input, $line]) {
            if (in_array($input, INPUTS, true) && !$isVouchedFor) {
                $found[] = "$path:$line: $name reads $input without a nonce, or a reason why it needs none";
            }
        }
    }
    return $found;
}

/** What the core must not know: it has inputs, and what touches the machine is handed in. */
function layers(string $path, array $tokens): array
{
    $found = [];
    foreach ($tokens as $i => [$id, $text, $line]) {
        $isCall = $id === T_STRING && ($tokens[$i + 1][1] ?? '') === '(' && !in_array($tokens[$i - 1][1], ['->', '::', 'function'], true);
        $isOutside = preg_match('/^(time|microtime|hrtime|date|random_\w+|mt_rand|rand|f[a-z]+|file\w*|unlink|rename|mkdir|stream_\w+|curl_\w+'
            . '|wp_\w+|add_\w+|get_option|apply_filters|do_action|error_log|getenv)$/D', $text) === 1;
        $isHarmless = in_array($text, ['floor', 'function_exists', 'filter_var', 'fix'], true);
        if ($isCall && $isOutside && !$isHarmless) {
            $found[] = "$path:$line: the core must not know $text()";
        }
    }
    return $found;
}

function check(string $path, string $source): array
{
    $tokens = tokens($source);
    if (strpos($path, 'integrations/drupal/') === 0) {
        return drupal($path, $tokens, $source);
    }
    $found = newer($path, $tokens);
    // These are what is handed in.
    $isShell = preg_match('~/(FileStorage|Folder|Loopback|StreamTransport|System\w+)\.php$~D', $path) === 1;
    if (strpos($path, 'php-core/src/') !== false && !$isShell) {
        $found = array_merge($found, layers($path, $tokens));
    }
    if (preg_match('~wordpress/logystera\.php$~D', $path) === 1) {
        $found = array_merge($found, pluginHeader($path, $source));
    }
    if (strpos($path, 'wordpress/') !== false) {
        $found = array_merge(
            $found,
            prefixes($path, $tokens, $source),
            escapes($path, $tokens),
            unguarded($path, $tokens),
            guards($path, $tokens, $source)
        );
    }
    return $found;
}

/** WordPress reads each of these at the beginning of a line, and passes over what it does not find. */
function pluginHeader(string $path, string $source): array
{
    $found = [];
    $names = [
        'Plugin Name', 'Plugin URI', 'Description', 'Version', 'Requires at least', 'Requires PHP', 'Author', 'Author URI', 'License', 'License URI',
        'Update URI', 'Text Domain', 'Domain Path',
    ];
    foreach ($names as $name) {
        if (preg_match("/^ \\* $name: +\\S/m", $source) !== 1) {
            $found[] = "$path:1: $name does not stand on a line of its own";
        }
    }
    return $found;
}

/** What the catalogue of WordPress.org reads says the same, and the newest change is this version's; so it is for Drupal. */
function sameEverywhere(string $plugin, string $readme, string $info, string $changes): array
{
    $found = [];
    $value = static fn (string $name, string $text): string => preg_match("/^(?: \\* )?$name: +(.*)$/m", $text, $m) === 1 ? trim($m[1], " '") : '';
    $pairs = ['Version' => 'Stable tag', 'License' => 'License', 'License URI' => 'License URI', 'Requires PHP' => 'Requires PHP',
        'Requires at least' => 'Requires at least'];
    foreach ($pairs as $name => $other) {
        if ($value($name, $plugin) === '' || $value($name, $plugin) !== $value($other, $readme)) {
            $found[] = "integrations/wordpress/readme.txt:1: $other is not what logystera.php says";
        }
    }
    if (preg_match('/^== Changelog ==\s+= (\S+) =/m', $readme, $m) !== 1 || $m[1] !== $value('Version', $plugin)) {
        $found[] = 'integrations/wordpress/readme.txt:1: the newest change is not of this version';
    }
    if (preg_match('/^## (\S+)/m', $changes, $m) !== 1 || $m[1] !== $value('version', $info)) {
        $found[] = 'integrations/drupal/CHANGELOG.md:1: the newest change is not of this version';
    }
    return $found;
}

function checkTree(): array
{
    $root = dirname(__DIR__, 2);
    [$found, $files] = [[], 0];
    $all = new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator("$root/integrations"));
    foreach ($all as $file) {
        if ($file->isFile() && in_array($file->getExtension(), ['php', 'module', 'install'], true)) {
            $files++;
            $path = substr($file->getPathname(), strlen($root) + 1);
            $found = array_merge($found, check($path, (string) file_get_contents($file->getPathname())));
        }
    }
    $text = static fn (string $name): string => (string) file_get_contents("$root/integrations/$name");
    $found = array_merge($found, sameEverywhere(
        $text('wordpress/logystera.php'),
        $text('wordpress/readme.txt'),
        $text('drupal/logystera.info.yml'),
        $text('drupal/CHANGELOG.md')
    ));
    return $files < 60 ? ["only $files files were found"] : $found;
}

/** Faults, and what has to be said of each. */
const PLANTED = [
    ['$x = match (1) { 1 => 2 };', 'match'], ['enum A { case B; }', 'enum'], ['$a?->b();', '?->'], ['#[A] class B {}', 'attribute'],
    ['str_contains("a", "b");', 'str_contains'], ['$f = strlen(...);', '(...)'], ['try { } catch (\Exception) { }', 'catch'],
    ['f(name: 1);', 'named'], ['function f(): mixed {}', 'return type'], ['function f(int|string $a) {}', 'union'],
    ['function f($a,) {}', 'comma'], ['class A { public function __construct(private $b) {} }', 'promoted'],
    ['function f(): int|string {}', 'union'], ['$a = $b ?? throw new \Exception();', 'throw'],
    ['update_option("other", 1);', 'prefix'], ['apply_filters("other", 1);', 'prefix'], ['echo $a;', 'not escaped'],
    ['echo "<p>" . get_option("logystera_x");', 'not escaped'], ['echo esc_html("a") . $b;', 'not escaped'],
    ['function f() { return $_POST["a"]; }', 'nonce'], ['add_action("init", "f");', 'guarded'], ['add_filter("x", [$this, "f"]);', 'guarded'],
    ['const ACTIONS = ["save"]; class A { static function save() { update_option("logystera_a", 1); } }', 'does not begin'],
    ['const ACTIONS = []; class A { static function demandRight() { check_admin_referer("x"); } }', 'current_user_can'],
];

function checkPlanted(): array
{
    $missed = [];
    foreach (PLANTED as [$code, $expected]) {
        $said = implode("\n", check('integrations/wordpress/planted.php', "<?php\nnamespace Logystera\\X;\n$code\n"));
        if (strpos($said, $expected) === false) {
            $missed[] = "not found: $code\n  said: $said";
        }
    }
    $readme = "License: B\nStable tag: 1.0\n== Changelog ==\n\n= 0.9 =\n";
    $said = implode("\n", sameEverywhere(" * Version: 1.0\n * License: A\n", $readme, "version: '1.0'\n", "## 0.9\n"));
    foreach (['License is not', 'readme.txt:1: the newest', 'CHANGELOG.md:1: the newest'] as $expected) {
        $missed = strpos($said, $expected) === false ? array_merge($missed, ["not found: $expected"]) : $missed;
    }
    foreach (['time()', 'file_get_contents("x")', 'get_option("logystera_x")', 'random_bytes(2)'] as $call) {
        if (check('integrations/php-core/src/Planted.php', "<?php\nnamespace Logystera;\n\$a = $call;\n") === []) {
            $missed[] = "not found: $call in the core";
        }
    }
    foreach (PLANTED_IN_DRUPAL as [$code, $expected]) {
        $said = implode("\n", check('integrations/drupal/src/planted.php', "<?php\nnamespace Drupal\logystera;\n$code\n"));
        if (strpos($said, $expected) === false) {
            $missed[] = "not found: $code\n  said: $said";
        }
    }
    if (check('integrations/wordpress/logystera.php', "<?php\n/** Version: 1.0 Requires PHP: 7.4 */\nnamespace Logystera\X;\n") === []) {
        $missed[] = 'not found: a header in one line';
    }
    $said = check('integrations/wordpress/planted.php', "<?php\nfunction helper() {}\n");
    return $said === [] ? array_merge($missed, ['not found: a function in no namespace']) : $missed;
}

$found = in_array('--planted', $argv, true) ? checkPlanted() : checkTree();
fwrite(STDERR, implode('', array_map(static fn (string $line): string => "$line\n", $found)));
exit($found === [] ? 0 : 1);
