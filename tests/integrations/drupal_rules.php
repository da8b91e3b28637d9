<?php

/**
 * The rules of the Drupal module's PHP, for tests/integrations/rules.php: what PHP 8.1 can read, which Drupal 10.3 asks for, names
 * with our prefix, texts that can be translated, and nothing that gets around Drupal's escaping, forms and rights.
 */

declare(strict_types=1);

namespace Logystera\Rules;

const NEWER_THAN_81 = [
    'json_validate', 'mb_str_pad', 'str_increment', 'str_decrement', 'ini_parse_quantity', 'array_find', 'array_any', 'array_all',
    'memory_reset_peak_usage', 'curl_upkeep',
];
/** Parts of render arrays that people read. */
const SHOWN = ['#title', '#description', '#value', '#caption', '#markup', '#prefix', '#suffix'];
/** Names, which are the same in every language. */
const NAMES = ["'DSN'", "'Logystera'"];
/** What shows text without Drupal's escaping, asks for input past its forms, or takes a guard off. */
const PAST_DRUPAL = [
    'Markup::create' => 'escapes nothing', 'FormattableMarkup' => 'is not translated', '#allowed_tags' => 'widens what is let through',
    '#token' => 'takes the token off a form', 'setSafe' => 'escapes nothing', 'inline_template' => 'escapes by chance',
    'addTrustedOrigin' => 'trusts others', '\Drupal::request()->get(' => 'reads input past the form',
    'getUserInput' => 'reads input past the form', 'accessCheck(FALSE)' => 'takes a right off a query', 'accessCheck(false)' => 'takes a right off a query',
    'config(' . "'logystera.settings'" . ')->set' => 'is Settings\' to do',
];
const SUPERGLOBALS = ['$_GET', '$_POST', '$_REQUEST', '$_COOKIE', '$_FILES', '$_SESSION', '$_SERVER', '$GLOBALS'];

/** What Drupal 10.3's PHP cannot read or does not have. */
function newerThan81(string $path, array $tokens): array
{
    $found = [];
    foreach ($tokens as $i => [$id, $text, $line]) {
        $next = $tokens[$i + 1] ?? [null, '', 0];
        $isCall = $id === T_STRING && $next[1] === '(' && !in_array($tokens[$i - 1][1] ?? '', ['->', '?->', '::', 'function', 'new'], true);
        if ($isCall && in_array($text, NEWER_THAN_81, true)) {
            $found[] = "$path:$line: $text() is not in PHP 8.1";
        }
        if ($id === T_READONLY && in_array($next[0], [T_CLASS, T_FINAL, T_ABSTRACT], true)) {
            $found[] = "$path:$line: a readonly class is not in PHP 8.1";
        }
        if ($id === T_CONST && $next[0] === T_STRING && ($tokens[$i + 2][0] ?? null) === T_STRING) {
            $found[] = "$path:$line: a typed constant is not in PHP 8.1";
        }
        $isType = $text === ':' && ($tokens[$i - 1][1] ?? '') === ')' && ($tokens[$i + 2][1] ?? '') === '{';
        if ($isType && in_array(strtolower($next[1]), ['true', 'false', 'null'], true)) {
            $found[] = "$path:$line: the return type {$next[1]} is not in PHP 8.1";
        }
    }
    return $found;
}

/** What is shown and is neither translated nor a name; texts that no translator could find. */
function translations(string $path, array $tokens): array
{
    $found = [];
    foreach ($tokens as $i => [$id, $text, $line]) {
        $name = trim($text, "'\"");
        if ($id === T_CONSTANT_ENCAPSED_STRING && in_array($name, SHOWN, true) && ($tokens[$i + 1][1] ?? '') === '=>') {
            [$kind, $value] = $tokens[$i + 2] ?? [null, ''];
            $isText = $kind === T_CONSTANT_ENCAPSED_STRING && !in_array($value, NAMES, true);
            if ($isText || $value === '"') {
                $found[] = "$path:$line: $name is not translated";
            }
            $isOurs = $kind === T_VARIABLE && $value !== '$this';
            if ($isOurs && in_array($name, ['#markup', '#prefix', '#suffix'], true)) {
                $found[] = "$path:$line: $name shows $value as it is";
            }
        }
        $isT = $id === T_STRING && $text === 't' && ($tokens[$i + 1][1] ?? '') === '(' && ($tokens[$i - 1][1] ?? '') !== 'function';
        $isT = $isT || ($id === T_STRING && $text === 'TranslatableMarkup' && ($tokens[$i - 1][1] ?? '') === 'new');
        if ($isT && ($tokens[$i + 2][0] ?? null) !== T_CONSTANT_ENCAPSED_STRING) {
            $found[] = "$path:$line: a text that is not written here cannot be translated";
        }
    }
    return $found;
}

/** Names that other modules could have, too, and what gets around Drupal. */
function drupal(string $path, array $tokens, string $source): array
{
    $found = array_merge(newerThan81($path, $tokens), translations($path, $tokens));
    // What others' functions look like is written there for them, and never run.
    $isApi = preg_match('/\.api\.php$/D', $path) === 1;
    $isHooks = $isApi || preg_match('/\.(module|install)$/D', $path) === 1;
    $isScript = preg_match('~/cron\.php$~D', $path) === 1;
    if (!$isHooks && !$isScript && strpos($source, 'namespace Drupal\logystera') === false) {
        $found[] = "$path:1: what it defines is in no namespace of ours";
    }
    preg_match_all('/^function (\w+)/m', $source, $functions);
    foreach ($functions[1] as $function) {
        if (strncmp($function, $isApi ? 'hook_logystera_' : 'logystera_', $isApi ? 15 : 10) !== 0) {
            $found[] = "$path:1: the function $function lacks our prefix";
        }
    }
    foreach (PAST_DRUPAL as $text => $why) {
        if (strpos($source, $text) !== false) {
            $found[] = "$path:1: $text $why";
        }
    }
    foreach ($tokens as $i => [$id, $text, $line]) {
        $isAddress = $text === '$_SERVER' && ($tokens[$i + 2][1] ?? '') === "'REMOTE_ADDR'";
        if (in_array($text, SUPERGLOBALS, true) && !$isAddress) {
            $found[] = "$path:$line: $text gets around Symfony's request";
        }
        if (in_array($id, [T_ECHO, T_PRINT, T_OPEN_TAG_WITH_ECHO], true) && !$isScript) {
            $found[] = "$path:$line: a module shows nothing by itself";
        }
    }
    return $found;
}

/** Faults, and what has to be said of each. */
const PLANTED_IN_DRUPAL = [
    ['json_validate("1");', 'json_validate'], ['readonly class A {}', 'readonly class'], ['class A { const int B = 1; }', 'typed constant'],
    ['function logystera_f(): null {}', 'return type'], ['$a = ["#title" => "Save"];', 'not translated'],
    ["\$a = ['#markup' => \$name];", 'as it is'], ['$b = $this->t($name);', 'cannot be translated'],
    ['$b = new TranslatableMarkup($name);', 'cannot be translated'], ['function helper() {}', 'lacks our prefix'],
    ['$a = Markup::create($b);', 'escapes nothing'], ["\$form['#token'] = false;", 'takes the token off'],
    ['$a = $_POST["a"];', 'gets around'], ['echo $a;', 'shows nothing by itself'],
];
