// Added by `ess watch` to the pages it serves, never to the files: the page reloads when it is rendered again.
new EventSource("/.events?" + location.pathname.slice(1)).onmessage = () => location.reload();
