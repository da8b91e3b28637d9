<?php

declare(strict_types=1);

namespace Drupal\probe\Controller;

use Symfony\Component\HttpFoundation\Response;

/** Fails in every way, on request. */
final class Fault
{
    public function serve(string $kind): Response
    {
        switch ($kind) {
            case 'warning':
                echo $undefined_planted;
                break;
            case 'twice':
                for ($i = 0; $i < 2; $i++) {
                    echo $undefined_planted;
                }
                break;
            case 'silenced':
                echo @file_get_contents('/nowhere/planted');
                break;
            case 'fatal':
                probe_has_no_such_function('planted-argument');
                break;
            case 'memory':
                ini_set('memory_limit', '64M');
                for ($all = []; true;) {
                    $all[] = str_repeat('x', 100000);
                }
                break;
            case 'database':
                \Drupal::database()->query("SELECT * FROM {nowhere} WHERE x = :x", [':x' => 'planted-value']);
                break;
            case 'exit':
                http_response_code(418);
                exit;
        }
        return new Response('done');
    }
}
