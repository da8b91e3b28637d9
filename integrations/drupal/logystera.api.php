<?php

/**
 * @file
 * Hooks that the Logystera module asks others by, and one that it has.
 */

declare(strict_types=1);

use Symfony\Component\HttpFoundation\Request;

/**
 * @addtogroup hooks
 * @{
 */

/**
 * Says whether a client that names itself a search engine is one.
 *
 * To find that out takes a look into the DNS, which no page waits for: say it
 * where you know it already. It is asked when the request ends.
 *
 * @param string|null $bot
 *   `verified` or `unverified`; NULL where nobody knows.
 * @param \Symfony\Component\HttpFoundation\Request $request
 *   The request.
 */
function hook_logystera_bot_alter(?string &$bot, Request $request): void {
  $known = $request->attributes->get('mymodule_search_engine');
  $bot = $known === NULL ? $bot : ($known ? 'verified' : 'unverified');
}

/**
 * Takes word that an account's second factor was taken off.
 *
 * This hook is Logystera's own. A module that has second factors calls it:
 * @code
 * \Drupal::moduleHandler()->invokeAll('logystera_second_factor_off', [$uid]);
 * @endcode
 * Those of the module Two-factor Authentication (tfa) are noticed without it.
 *
 * @param int $uid
 *   The account.
 */
function hook_logystera_second_factor_off(int $uid): void {
}

/**
 * @} End of "addtogroup hooks".
 */
