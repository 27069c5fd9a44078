"use strict";
const text = (id, value) => { document.getElementById(id).textContent = value; };
fetch("/api/products").then((r) => r.json()).then(({ products }) => {
  document.getElementById("products").replaceChildren(...products.map((p) => {
    const li = document.createElement("li");
    li.textContent = `${p.name}, ${p.price}`;
    return li;
  }));
}).catch(() => text("products", "The catalogue could not be loaded."));
const events = new EventSource("/events");
events.addEventListener("tick", (e) => text("sse", `event ${JSON.parse(e.data).n}`));
events.onerror = () => text("sse", "reconnecting…");
const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
socket.onopen = () => socket.send("hello");
socket.onmessage = (e) => text("ws", e.data);
socket.onclose = () => text("ws", "closed");
