<?php

declare(strict_types=1);

namespace Logystera;

/** Every bound of an integration, with its unit and why. */
final class Limits
{
    /** Signals in one batch: the gateway refuses more. */
    public const BATCH_SIGNALS_MAX = 1000;
    /** JSON of one batch's signals, in bytes: below the gateway's 1 MiB on the wire even where gzip does not pay. */
    public const BATCH_BYTES_MAX = 524288;
    /** A body from this size on is compressed, in bytes. */
    public const GZIP_BYTES_MIN = 512;
    /** Signals on disk, in bytes: what a site can spare, and some twenty thousand signals. */
    public const SPOOL_BYTES_MAX = 4194304;
    /**
     * Bytes of lines that are counted anew with each append before that is written down. To replace a file costs a page some milliseconds:
     * less than one in a hundred pays that.
     */
    public const TALLY_BYTES_MIN = 32768;
    /** Bytes of the counts of what found no room: of some three hundred pages, before they are summed up. */
    public const DROPPED_BYTES_MAX = 16384;
    /**
     * Bytes of the newest lines that are looked at when what waits in a full spool is merged, at most and at least: some thirteen
     * hundred signals, which cost one page some 15 ms.
     */
    public const MERGE_BYTES_MAX = 262144;
    public const MERGE_BYTES_MIN = 32768;
    /** Oldest signal that is still sent, in milliseconds: a day less than the gateway takes. */
    public const SIGNAL_AGE_MS_MAX = 6 * 86400000;
    /** Longest line of a spool, in bytes: the longest signal of the catalogue has half of it. */
    public const LINE_BYTES_MAX = 4096;
    /** Signals that a request keeps in memory before it writes them. */
    public const BUFFERED_SIGNALS_MAX = 64;
    /**
     * Signals of one type in one request, or in a minute of a process that runs for longer; what is beyond is counted as dropped. Of
     * equal ones half as many, so that what differs finds room. The signal that matters, a new administrator, has no such bound.
     */
    public const REQUEST_SIGNALS_MAX = 500;
    public const REQUEST_REPEATS_MAX = 250;
    public const REQUEST_MS_MAX = 60000;
    /**
     * Bytes of settings' values that are written out and hashed in the same time: some 2 ms of a page. The change itself is told beyond
     * it, too, but not what its values are the hash of.
     */
    public const REQUEST_VALUE_BYTES_MAX = 262144;
    /**
     * Values that are compared in the same time, to tell what was saved anew from what was saved as it was: some 5 ms of a page, and a
     * hundred large views of Drupal's. What is beyond is counted as dropped.
     */
    public const REQUEST_COMPARED_MAX = 100000;
    /**
     * Bytes that are looked at of what strangers or faults wrote, before anything is made of it: some times what is told. Some of the
     * patterns need the square of it, a tenth of a millisecond to one.
     */
    public const PATH_BYTES_MAX = 1024;
    public const AGENT_BYTES_MAX = 1024;
    public const NAME_BYTES_MAX = 512;
    public const MESSAGE_BYTES_MAX = 1024;
    public const QUERY_BYTES_MAX = 4096;
    /** Bytes of a typed name that are hashed: of a thousand characters, more than any account has. */
    public const LOGIN_BYTES_MAX = 4096;
    /** Age of the oldest signal from which the end of a request sends, in milliseconds. */
    public const FLUSH_AGE_MS = 10000;
    /** Longest time of one flush within a web request, in milliseconds. */
    public const WEB_BUDGET_MS = 3000;
    /**
     * Longest time of one flush after a fatal error, in milliseconds: the client waits where PHP cannot end the answer, and PHP itself
     * ends in two seconds what follows its own time limit.
     */
    public const FATAL_BUDGET_MS = 1500;
    /** Memory that a flush after a fatal error may take besides, in bytes: a batch, packed, and the HTTP client. */
    public const FATAL_MEMORY_BYTES = 16777216;
    /**
     * Longest time of one of the two flushes that say that nothing is watched any more, in milliseconds: somebody waits for the page. Of a
     * network's sites so many say it, in so much time together.
     */
    public const FAREWELL_BUDGET_MS = 2000;
    public const FAREWELL_SITES_MAX = 100;
    public const FAREWELL_ALL_BUDGET_MS = 15000;
    /** Longest time of one flush from cron, in milliseconds. */
    public const CRON_BUDGET_MS = 10000;
    /** A try needs at least so much of the budget, in milliseconds. */
    public const TRY_MS_MIN = 500;
    /** Longest answer that is read, in bytes. */
    public const ANSWER_BYTES_MAX = 262144;
    /** First back-off, in milliseconds; it doubles with each failure. */
    public const BACKOFF_MS = 30000;
    /**
     * Longest pause and time between two probes, in milliseconds: the gateway takes a spool that is silent for longer
     * to be dead.
     */
    public const PAUSE_MS_MAX = 3600000;
    /** Failures in a row that open the circuit. */
    public const FAILURES_MAX = 8;
    /** Tries with a key that the gateway does not know yet, and the time between them in milliseconds. */
    public const NEW_KEY_TRIES = 3;
    public const NEW_KEY_MS = 5000;
    /** New spools drawn in a row, where others used the numbers. */
    public const CONFLICTS_MAX = 3;
    /** A measured clock offset counts if it differs from the kept one by more than this, in milliseconds. */
    public const CLOCK_STEP_MS = 2000;
    /** Largest clock offset that the gateway takes, in milliseconds: a century. */
    public const CLOCK_OFFSET_MS_MAX = 100 * 366 * 86400000;
    /**
     * How far the times of a spool may be ahead of the clock and still hold later ones back, in milliseconds. A clock
     * that went back by more was wrong before: the spool's time starts anew.
     */
    public const CLOCK_BACK_MS = 300000;
    /**
     * A clock that moved on by more than this since the last try or claim may be wrong, in milliseconds: no signal
     * expires by it at once. A site that sends tries once an hour at least.
     */
    public const CLOCK_JUMP_MS = 86400000;
    /** How often a sender may promise to speak, in seconds, and how often it does by default. */
    public const FLUSH_EVERY_S_MIN = 60;
    public const FLUSH_EVERY_S_MAX = 86400;
    public const FLUSH_EVERY_S_DEFAULT = 60;
    /** A heartbeat goes out so much before it is due, in milliseconds, because cron is not punctual. */
    public const HEARTBEAT_SLACK_MS = 10000;
    /** Entries of the look-up store; the least recently seen go first, but of each kind so many stay. */
    public const LOOKUP_ENTRIES_MAX = 20000;
    public const LOOKUP_KIND_ENTRIES = 2000;
    /** Hashes that a page looks up at once: an alert has some dozen, and each reads the same store once. */
    public const LOOKUP_ASKED_MAX = 100;
    /** Text in which a page looks for hashes, in bytes: an alert's mail, pasted whole. */
    public const LOOKUP_ASKED_BYTES_MAX = 65536;
    /** Entries of the list of what was lost, one for each day, type and reason; the oldest go first. */
    public const LOSSES_MAX = 60;
    /** Nothing got through for so long: the sending does not work, in milliseconds. A site that speaks seldom has two of its own pauses. */
    public const SILENT_MS = 1800000;
    /** Mails that the try of an alert tells as failed: as many as the default rule `mail-delivery-failing` asks for. */
    public const DRILL_MAILS = 5;
    /** Meanings of one kind that are written at once; the rest comes again with its signals. */
    public const LOOKUP_WRITE_ENTRIES_MAX = 500;
    /**
     * Bytes of meanings that wait to be merged into the look-up store; beyond, new ones are left out until the next
     * merge. The last quarter is for users and addresses: who attacked is asked first.
     */
    public const LOOKUP_PENDING_BYTES_MAX = 1048576;
    public const LOOKUP_PENDING_OTHERS_BYTES_MAX = 786432;
    /** Bytes of meanings from which a merge is worth it: it writes the whole store anew. */
    public const LOOKUP_MERGE_BYTES_MIN = 65536;
    /** Characters of a meaning. */
    public const MEANING_CHARS_MAX = 300;
    /** Days after which a meaning is forgotten. */
    public const LOOKUP_DAYS_MAX = 90;
    /** One slice of looking at the site's files: how long it lasts, in milliseconds, so that a page that has it done loses little. */
    public const LOOK_MS = 20;
    /** Names that a slice looks at: at most, and, where listing a folder took all its time, at least. */
    public const LOOK_NAMES_MAX = 3000;
    public const LOOK_NAMES_MIN = 200;
    /** Folders that are looked at, and files that are remembered of each: some 600 KiB on disk, read at each slice. */
    public const WATCHED_FOLDERS_MAX = 8;
    public const WATCHED_FILES_MAX = 6000;
    /** Longest path of a remembered file below its folder, in bytes. */
    public const WATCHED_NAME_BYTES_MAX = 512;
    /** Files of which somebody else told, and that are not seen yet. */
    public const WATCHED_TOLD_MAX = 64;
    /** Names of one folder that are listed, and folders within each other that are gone into. */
    public const FOLDER_NAMES_MAX = 20000;
    public const FOLDER_DEPTH_MAX = 32;
    /** Most of a dropped type's count that one signal can tell. */
    public const DROPPED_COUNT_MAX = 1000000000;
}
