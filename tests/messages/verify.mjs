// What the library of Standard Webhooks says of messages: reads a list of {headers, body, secret}, prints a list of true and false.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { Webhook } = createRequire(join(process.argv[2], "package.json"))("standardwebhooks");

const isGood = ({ headers, body, secret }) => {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    if (error.name !== "Error" && error.constructor.name !== "WebhookVerificationError") throw error;
    return false;
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(isGood)));
