// What both parts of the page need: questions to the program, and elements.

// The answer of the program, or an Error with the sentence that it refuses with.
export async function ask(path, asked, signal) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify(asked), signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The program doesn't answer: is it still running? Start it again with " +
      "minigrad guide --serve, and load this page again.");
  }
  const found = await response.json();
  if (!response.ok) throw new Error(found.error);
  return found;
}

// Asks for the latest of what comes in quick succession: an older question is dropped.
export function latest(path, show, refuse) {
  let waiting, asking;
  return (asked) => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      asking?.abort();
      const mine = asking = new AbortController();
      try {
        const found = await ask(path, asked, mine.signal);
        if (asking === mine) show(found);
      } catch (error) {
        if (asking === mine && error.name !== "AbortError") refuse(error.message);
      }
    }, 120);
  };
}

// An element with properties and children; texts are texts, never HTML.
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

// The colour for a number: orange above 0, blue below, full at `largest`.
export function colour(value, largest) {
  const strength = largest ? Math.min(Math.abs(value) / largest, 1) : 0;
  return `rgba(${value > 0 ? "232, 121, 43" : "58, 123, 213"}, ${(0.55 * strength).toFixed(3)})`;
}

export const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
export const largest = (values) => Math.max(...values.map(Math.abs), 0);
