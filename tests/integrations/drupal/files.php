<?php

/** What the module's files say fits together. */

declare(strict_types=1);

namespace Logystera\Tests\Drupal;

use Drupal\logystera\Settings;
use Drupal\logystera\Site as ModuleSite;
use Symfony\Component\Yaml\Yaml;

use function Logystera\Tests\same;

$yaml = static fn (string $name): array => (array) Yaml::parseFile(LOGYSTERA_MODULE . "/$name");

return [
    'the description asks for Drupal 10.3, and its version is the code\'s' => static function () use ($yaml): void {
        $info = $yaml('logystera.info.yml');
        same(['Logystera', 'module', '^10.3 || ^11', ModuleSite::VERSION], [$info['name'], $info['type'],
            $info['core_version_requirement'], $info['version']]);
        same(true, isset($yaml('logystera.routing.yml')[$info['configure']]), 'configure');
    },
    'each route wants a right, but for the one that wants a token' => static function () use ($yaml): void {
        $rights = $yaml('logystera.permissions.yml');
        same(['administer logystera'], array_keys($rights), 'rights');
        same(true, $rights['administer logystera']['restrict access'], 'restricted');
        foreach ($yaml('logystera.routing.yml') as $name => $route) {
            $class = ltrim((string) strtok((string) ($route['defaults']['_form'] ?? $route['defaults']['_controller']), ':'), '\\');
            $path = LOGYSTERA_MODULE . '/src' . str_replace('\\', '/', substr($class, strlen('Drupal\\logystera'))) . '.php';
            same(true, is_file($path), "$name: $class");
            if ($name === 'logystera.kick') {
                same(['POST'], $route['methods'], 'only by POST');
                same(true, str_contains((string) file_get_contents($path), 'Loopback::isToken('), 'a token');
            } else {
                same(['_permission' => 'administer logystera'], $route['requirements'], $name);
            }
        }
        foreach ($yaml('logystera.links.menu.yml') as $link) {
            same(true, isset($yaml('logystera.routing.yml')[$link['route_name']]), 'a link');
        }
    },
    'each key of the configuration has a schema, and no secret is one' => static function () use ($yaml): void {
        $installed = $yaml('config/install/logystera.settings.yml');
        $schema = $yaml('config/schema/logystera.schema.yml')['logystera.settings'];
        same(array_keys($installed), array_keys($schema['mapping']), 'keys');
        same([[], 60], array_values($installed), 'defaults');
        $kinds = ['sequence' => 'array', 'integer' => 'integer'];
        foreach ($installed as $key => $value) {
            same($kinds[$schema['mapping'][$key]['type']], gettype($value), $key);
        }
        // What is a secret, or one site's alone, is state.
        preg_match_all("/->set\('(\w+)'/", (string) file_get_contents(LOGYSTERA_MODULE . '/src/Settings.php'), $set);
        same(array_keys($installed), $set[1], 'what is saved as configuration');
    },
    'each service has a class that takes its arguments' => static function () use ($yaml): void {
        foreach ($yaml('logystera.services.yml')['services'] as $id => $service) {
            $constructor = (new \ReflectionClass($service['class']))->getConstructor();
            $count = count($service['arguments']);
            same([$constructor->getNumberOfRequiredParameters(), $constructor->getNumberOfParameters()], [$count, $count], $id);
            foreach ($service['tags'] ?? [] as $tag) {
                $isKnown = $tag['name'] !== 'logystera.source' || in_array($tag['type'], array_merge(['*'], Settings::TYPES), true);
                same(true, $isKnown, "$id: a type");
            }
            $isOurs = str_starts_with($id, 'logystera.');
            same(true, $isOurs, "$id lacks our prefix");
        }
    },
    'whoever watches is tagged, so that it goes when nobody agreed' => static function () use ($yaml): void {
        foreach ($yaml('logystera.services.yml')['services'] as $id => $service) {
            $tags = array_column($service['tags'] ?? [], 'name');
            $watches = str_contains($service['class'], '\\Signals\\') || isset($service['decorates']) || in_array('logger', $tags, true)
                || (in_array('event_subscriber', $tags, true) && $id !== 'logystera.rebuild');
            same($watches, in_array('logystera.source', $tags, true), $id);
        }
    },
];
