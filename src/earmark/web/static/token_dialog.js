// The dialog that asks for the server's token.

import { setToken } from "./api.js";
import { $ } from "./dom.js";

// Whether one was given; Escape gives none.
export async function askForToken() {
  $("token-dialog").showModal();
  await new Promise((resolve) => {
    $("token-dialog").addEventListener("close", resolve, { once: true });
  });
  const given = $("token").value;
  $("token").value = "";
  if (given) setToken(given);
  return given !== "";
}
